//! What the routes share, and what stands before and after each of them: who may ask, what is counted.

use super::door::Peer;
use super::token::{Token, admit};
use crate::runtime::{ModelsStatus, Slot};
use crate::serve::limits::{BODIES, Limits};
use crate::serve::metrics::{Gauge, Metrics};
use crate::serve::queue::Queue;
use crate::serve::refusal::Refusal;
use crate::serve::wire::{CalibrationInfo, Health, ModelInfo, Status};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Every path that is served; requests for others are counted as `other`.
pub(in crate::serve) const ROUTES: [&str; 6] = ["/", "/score", "/health", "/metrics", "/openapi.json", "/v1/models"];

/// What the routes share.
pub(in crate::serve) struct App {
    pub rewards: Vec<Queue>,
    pub limits: Arc<Limits>,
    pub metrics: Arc<Metrics>,
    pub token: Option<Token>,
    /// Bytes of bodies that may be in memory.
    bodies: Arc<Semaphore>,
}

impl App {
    pub fn new(rewards: Vec<Queue>, limits: Arc<Limits>, metrics: Arc<Metrics>, token: Option<Token>) -> Self {
        let bytes = limits.body.saturating_mul(BODIES).min(Semaphore::MAX_PERMITS);
        Self { rewards, limits, metrics, token, bodies: Arc::new(Semaphore::new(bytes)) }
    }

    /// Room for a body; `None` where too many are in memory.
    pub fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.bodies.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()
    }

    /// The reward model of that name, or the first.
    pub fn reward(&self, name: Option<&str>) -> Result<&Queue, Refusal> {
        let found = match name {
            None => self.rewards.first(),
            Some(name) => self.rewards.iter().find(|r| r.reward == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.rewards.iter().map(|r| r.reward.as_str()).collect();
            let what = format!("reward: '{}' is not served here; give one of {}", name.unwrap_or_default(), names.join(", "));
            Refusal::new(StatusCode::BAD_REQUEST, what)
        })
    }

    /// The worst state of a reward model, and what is to say of it.
    pub fn health(&self) -> Health {
        let all: Vec<(Status, String)> = self.rewards.iter().map(|r| reason(&r.status().borrow())).collect();
        let worst = [Status::Failed, Status::Loading].into_iter().find_map(|s| all.iter().find(|a| a.0 == s));
        match worst {
            Some((status, reason)) => Health { status: *status, reason: Some(reason.clone()) },
            None => Health { status: Status::Ready, reason: None },
        }
    }

    /// What is known of every reward model.
    pub fn models(&self) -> Vec<ModelInfo> {
        self.rewards.iter().map(|r| info(&r.reward, &r.status().borrow())).collect()
    }

    /// What is known of every reward model now, for the metrics.
    pub fn gauges(&self) -> Vec<Gauge> {
        let gauge = |r: &Queue| Gauge { reward: r.reward.clone(), ready: state(&r.status().borrow()) == Status::Ready, queue: r.depth() };
        self.rewards.iter().map(gauge).collect()
    }
}

/// The state of the reward model; each has an engine of its own, so that requests for one do not wait for another.
fn slot(status: &ModelsStatus) -> &Slot {
    status.rewards.first().map_or(&Slot::Absent, |r| &r.slot)
}

/// Whether a reward model can be asked.
pub(in crate::serve) fn state(status: &ModelsStatus) -> Status {
    match slot(status) {
        Slot::Ready { .. } => Status::Ready,
        Slot::Loading { .. } => Status::Loading,
        Slot::Failed { .. } | Slot::Absent => Status::Failed,
    }
}

/// The same with what is to say of it.
pub(in crate::serve) fn reason(status: &ModelsStatus) -> (Status, String) {
    let reason = match slot(status) {
        Slot::Ready { name, about } => format!("reward model {name}: {about}"),
        Slot::Loading { name, progress } => format!("the reward model {name} loads: {:.0} %", progress * 100.0),
        Slot::Failed { name, error } => format!("the reward model {name} did not load: {error}"),
        Slot::Absent => "there is no reward model".into(),
    };
    (state(status), reason)
}

fn info(id: &str, status: &ModelsStatus) -> ModelInfo {
    let about = match slot(status) {
        Slot::Ready { about, .. } => Some(about.clone()),
        Slot::Failed { error, .. } => Some(error.clone()),
        _ => None,
    };
    let calibration = &status.calibration;
    let known = calibration.reward().map(|threshold| CalibrationInfo {
        reading: calibration.reading.to_string(),
        threshold,
        false_alarm_rate: calibration.false_alarm_rate,
        task: calibration.task.clone(),
        samples: calibration.samples,
        method: calibration.method.clone(),
    });
    ModelInfo {
        id: id.to_owned(),
        object: "model".into(),
        status: state(status),
        about,
        unit: status.says.map(|s| s.0),
        level: status.says.map(|s| s.1),
        calibration: known,
    }
}

/// A request that is being served; dropping it counts it.
pub(in crate::serve) struct Served {
    app: Arc<App>,
    peer: Option<Peer>,
    route: &'static str,
    began: Instant,
    status: u16,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.app.metrics.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.app.metrics.served(self.route, self.status, self.began.elapsed());
        if let Some(peer) = &self.peer {
            peer.end();
        }
    }
}

/// Where an answer that is a stream finds the request that it serves, to keep it until the stream ends.
#[derive(Clone, Default)]
pub(in crate::serve) struct Streamed(Arc<Mutex<Option<Served>>>);

impl Streamed {
    fn put(&self, served: Served) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }
}

/// Stands around every route.
pub(in crate::serve) async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|c| c.0.clone());
    if let Some(peer) = &peer {
        peer.begin();
    }
    app.metrics.in_flight.fetch_add(1, Ordering::Relaxed);
    let route = ROUTES.into_iter().find(|r| *r == request.uri().path()).unwrap_or("other");
    // What is given up before its answer begins counts as 499, as other servers have it.
    let mut served = Served { app: app.clone(), peer, route, began: Instant::now(), status: 499 };
    let admitted = admit(app.token.as_ref(), request.headers());
    let mut request = request;
    let response = match admitted {
        Ok(()) => next.run(request).await,
        // Whoever may not ask may still see whether it is up.
        Err(_) if route == "/health" => {
            request.extensions_mut().insert(Stranger);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    served.status = response.status().as_u16();
    tracing::debug!(route, status = served.status, "has answered");
    if let Some(streamed) = response.extensions().get::<Streamed>() {
        streamed.put(served);
    }
    response
}

/// Marks a request of somebody who may not ask.
#[derive(Clone, Copy)]
pub(in crate::serve) struct Stranger;
