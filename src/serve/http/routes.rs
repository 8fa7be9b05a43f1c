//! The routes.

use super::app::{App, Stranger, around};
use super::page;
use super::score;
use crate::serve::refusal::{Json, Refusal};
use crate::serve::wire::{Health, ModelList, Status};
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, http};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

/// Of all requests.
pub(in crate::serve) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(docs))
        .route("/score", post(score::score))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/openapi.json", get(openapi))
        .route("/v1/models", get(models))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(app.clone(), around))
        .with_state(app)
}

async fn nowhere(uri: http::Uri) -> Refusal {
    let what = format!("{}: nothing is here; GET / says what is", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, what)
}

async fn not_so(method: http::Method, uri: http::Uri) -> Refusal {
    let what = format!("{}: does not answer {method}; GET / says what it answers", uri.path());
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, what)
}

/// Says whether requests are answered.
#[utoipa::path(
    get,
    path = "/health",
    responses(
        (status = 200, description = "All reward models can be asked", body = Health),
        (status = 503, description = "One loads, or did not load", body = Health),
    ),
    security(())
)]
async fn health(State(app): State<Arc<App>>, stranger: Option<Extension<Stranger>>) -> Response {
    let mut health = app.health();
    if stranger.is_some() {
        health.reason = None;
    }
    let status = if health.status == Status::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

/// Lists the reward models: name, unit, threshold, and what that was calibrated on.
#[utoipa::path(get, path = "/v1/models", responses((status = 200, description = "The reward models", body = ModelList)))]
async fn models(State(app): State<Arc<App>>) -> Response {
    Json(ModelList { object: "list".into(), data: app.models() }).into_response()
}

/// Counts, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", responses((status = 200, description = "The counts", body = String, content_type = "text/plain")))]
async fn metrics(State(app): State<Arc<App>>) -> Response {
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], app.metrics.text(&app.gauges())).into_response()
}

/// This description, as OpenAPI has it.
#[utoipa::path(get, path = "/openapi.json", responses((status = 200, description = "The description", body = Object)))]
async fn openapi() -> Response {
    Json(document()).into_response()
}

/// This description, for people.
#[utoipa::path(get, path = "/", responses((status = 200, description = "A page", body = String, content_type = "text/html")))]
async fn docs() -> Response {
    let document = serde_json::to_value(document()).unwrap_or_default();
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // The page needs nothing from anywhere, and runs nothing.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers.map(|(n, v)| (n, HeaderValue::from_static(v))), page::html(&document)).into_response()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "reasonscope serve",
        description = "Scores of reasoning by reward models: every step, the first that deviates, and the whole."
    ),
    paths(score::score, models, health, metrics, openapi, docs),
    components(schemas(crate::serve::wire::StreamEvent))
)]
struct Description;

/// The description of the server as OpenAPI has it.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Description::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("token", bearer);
    // Without a token where the server has none.
    document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new()), SecurityRequirement::default()]);
    document
}
