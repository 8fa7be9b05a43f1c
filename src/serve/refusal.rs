//! What is answered where a request cannot be served.

use super::wire::{ErrorBody, Problem};
use crate::util::json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Characters of a message, which may repeat what the client sent.
const LONGEST: usize = 400;

/// A request that is not served: the status, and the cause and the remedy for people.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub status: StatusCode,
    pub message: String,
    /// Seconds after which it may be tried again.
    pub retry: Option<u64>,
}

impl Refusal {
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), retry: None }
    }

    /// One that may be tried again soon.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { retry: Some(1), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The same as JSON.
    pub fn body(&self) -> ErrorBody {
        let mut message = self.message.clone();
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(end);
            message.push('…');
        }
        ErrorBody { error: Problem { status: self.status.as_u16(), message } }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// JSON that does no harm on a terminal either.
pub(super) struct Json<T>(pub T);

/// A value as such JSON, on one line.
pub(super) fn line<T: Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).unwrap_or_else(|e| format!("{{\"error\":{{\"status\":500,\"message\":\"{e}\"}}}}"));
    json::escaped(&text).into_owned()
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], line(&self.0)).into_response()
    }
}
