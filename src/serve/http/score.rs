//! `POST /score`.

use super::app::{App, Streamed, reason};
use crate::runtime::{ModelsStatus, PANICKED};
use crate::serve::asked::Asked;
use crate::serve::judged::Judged;
use crate::serve::limits::Limits;
use crate::serve::queue::{Job, Queue};
use crate::serve::refusal::{Json, Refusal, line};
use crate::serve::wire::{ErrorBody, ScoreRequest, ScoreResponse, Status, StreamEvent};
use axum::body::{Body, Bytes, HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

/// Scores the candidates of one problem or of several.
///
/// The candidates of a problem are read as one batch, as `reasonscope score` reads them, and get the same numbers.
#[utoipa::path(
    post,
    path = "/score",
    request_body = ScoreRequest,
    responses(
        (status = 200, description = "The scores; with `stream` a `StreamEvent` a line or event", body = ScoreResponse),
        (status = 400, description = "The request is no JSON, or a field is wrong", body = ErrorBody),
        (status = 401, description = "The token is missing or wrong", body = ErrorBody),
        (status = 408, description = "The request came in too slowly", body = ErrorBody),
        (status = 413, description = "The body, the candidates or their text are more than the server takes", body = ErrorBody),
        (status = 415, description = "The content type is not application/json", body = ErrorBody),
        (status = 422, description = "The reward model cannot read any of it", body = ErrorBody),
        (status = 500, description = "The code of the reward model failed", body = ErrorBody),
        (status = 503, description = "Too many requests wait (Retry-After), or the reward model did not load", body = ErrorBody),
        (status = 504, description = "It took too long", body = ErrorBody),
    )
)]
pub(in crate::serve) async fn score(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let until = Instant::now() + app.limits.request;
    let events = accepts_events(request.headers());
    let (asked, room) = read(&app, request).await?;
    let queue = app.reward(asked.reward.as_deref())?;
    let status = queue.status();
    let (state, why) = reason(&status.borrow());
    if state == Status::Failed {
        return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why));
    }
    let stream = asked.stream;
    let work = Work::begin(asked, queue, status, until, room)?;
    if stream { Ok(work.stream(events)) } else { work.whole().await.map(|r| Json(r).into_response()) }
}

/// Whether the client reads Server-Sent Events.
fn accepts_events(headers: &HeaderMap) -> bool {
    headers.get_all(header::ACCEPT).iter().any(|a| a.to_str().is_ok_and(|a| a.contains("text/event-stream")))
}

/// Reads the body and what it asks for. What comes with it holds the body's place in memory.
async fn read(app: &App, request: Request) -> Result<(Asked, OwnedSemaphorePermit), Refusal> {
    let Limits { body: most, upload, .. } = *app.limits;
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && !(kind.starts_with("application/") && kind.ends_with("+json")) {
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send JSON, with Content-Type: application/json"));
    }
    let large = || Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than the {most} bytes that a request may have"));
    let (body, hint) = (request.into_body(), |body: &Body| body.size_hint().upper());
    let length = match hint(&body).map(usize::try_from) {
        Some(Ok(length)) if length <= most => length,
        Some(_) => return Err(large()),
        // Sent in pieces of which nobody knows how many follow.
        None => most,
    };
    let room = app.room(length).ok_or_else(|| Refusal::busy("too many bodies are in memory; try again"))?;
    let bytes = match timeout(upload, to_bytes(body, most)).await {
        Err(_) => return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body came in too slowly")),
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => {
            let limit = std::error::Error::source(&error).is_some_and(|e| e.to_string().contains("limit"));
            return Err(if limit { large() } else { Refusal::new(StatusCode::BAD_REQUEST, "the body breaks off") });
        }
    };
    let asked = axum::Json::<ScoreRequest>::from_bytes(&bytes).map_err(|rejected| {
        let text = rejected.body_text();
        let what = text.strip_prefix("Failed to deserialize the JSON body into the target type: ");
        let what = what.or_else(|| text.strip_prefix("Failed to parse the request body as JSON: ")).unwrap_or(&text);
        Refusal::new(StatusCode::BAD_REQUEST, what.to_owned())
    })?;
    Ok((Asked::read(asked.0, &app.limits)?, room))
}

/// A request that waits or is read.
struct Work {
    judged: Judged,
    job: Job,
    status: watch::Receiver<ModelsStatus>,
    until: Instant,
    limit: std::time::Duration,
    _room: OwnedSemaphorePermit,
}

impl Work {
    fn begin(
        asked: Asked,
        queue: &Queue,
        status: watch::Receiver<ModelsStatus>,
        until: Instant,
        room: OwnedSemaphorePermit,
    ) -> Result<Self, Refusal> {
        let judged = Judged::new(asked, &queue.reward);
        let job = queue.enter(judged.traces()).ok_or_else(|| Refusal::busy("too many requests wait; try again"))?;
        Ok(Self { judged, job, status, until, limit: until - Instant::now(), _room: room })
    }

    /// Takes what is new. `false`: all is read.
    async fn next(&mut self) -> Result<bool, Refusal> {
        let Ok(told) = timeout_at(self.until, self.job.next()).await else {
            let what = format!("this took more than {} s; send less at a time, or ask when fewer wait", self.limit.as_secs_f32().round());
            return Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, what));
        };
        let goes_on = told.is_some();
        told.into_iter().for_each(|t| self.judged.take(t));
        Ok(goes_on)
    }

    /// The scores, once all is read.
    fn response(&self) -> Result<ScoreResponse, Refusal> {
        match self.judged.failure() {
            None => Ok(self.judged.response(&self.status.borrow())),
            Some(why) => {
                let (state, reason) = reason(&self.status.borrow());
                Err(match state {
                    Status::Failed => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, reason),
                    _ if why.starts_with(PANICKED) => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why),
                    _ => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, why),
                })
            }
        }
    }

    async fn whole(mut self) -> Result<ScoreResponse, Refusal> {
        while self.next().await? {}
        self.response()
    }

    /// An event a step as it is judged, then the whole. It goes on as the client reads; dropping it gives the request up.
    fn stream(self, events: bool) -> Response {
        let served = Streamed::default();
        let state = (Stream { work: self, events, ready: VecDeque::new(), ended: false }, served.clone());
        let body = stream::unfold(state, |(mut stream, served)| async {
            let part = stream.next().await?;
            Some((Ok::<_, Infallible>(part), (stream, served)))
        });
        let kind = if events { "text/event-stream" } else { "application/x-ndjson" };
        let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")].map(|(n, v)| (n, HeaderValue::from_static(v)));
        let mut response = (headers, Body::from_stream(body)).into_response();
        response.extensions_mut().insert(served);
        response
    }
}

/// An answer that is a stream.
struct Stream {
    work: Work,
    /// As Server-Sent Events.
    events: bool,
    ready: VecDeque<StreamEvent>,
    ended: bool,
}

impl Stream {
    /// The next event as bytes; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(self.bytes(&event));
            }
            if self.ended {
                return None;
            }
            let refused = |r: Refusal| StreamEvent::Error(r.body());
            match self.work.next().await {
                Err(refusal) => {
                    self.ended = true;
                    self.ready.push_back(refused(refusal));
                }
                Ok(goes_on) => {
                    let steps = self.work.judged.steps(&self.work.status.borrow());
                    self.ready.extend(steps.into_iter().map(StreamEvent::Step));
                    if !goes_on {
                        self.ended = true;
                        self.ready.push_back(self.work.response().map_or_else(refused, StreamEvent::Done));
                    }
                }
            }
        }
    }

    fn bytes(&self, event: &StreamEvent) -> Bytes {
        let name = match event {
            StreamEvent::Step(_) => "step",
            StreamEvent::Done(_) => "done",
            StreamEvent::Error(_) => "error",
        };
        let line = line(event);
        Bytes::from(if self.events { format!("event: {name}\ndata: {line}\n\n") } else { format!("{line}\n") })
    }
}
