//! What is counted, as Prometheus reads it (text format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper ends of the histogram of times, in seconds.
const BUCKETS: [f64; 13] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Times of one route.
#[derive(Clone, Default)]
struct Times {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

/// Counts of a whole server.
#[derive(Default)]
pub(super) struct Metrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    times: Mutex<BTreeMap<&'static str, Times>>,
    /// Requests that are being served.
    pub in_flight: AtomicI64,
    /// Connections that are open.
    pub connections: AtomicI64,
    /// Problems whose candidates were read to the end.
    pub problems: AtomicU64,
    /// Requests whose client went away, or whose time was up, before they were through.
    pub cancelled: AtomicU64,
    /// Token rewards that a reward model gave.
    pub tokens: AtomicU64,
    /// Bytes of candidates that were handed to a reward model.
    pub bytes: AtomicU64,
}

/// What is known of one reward model now.
pub(super) struct Gauge {
    pub reward: String,
    pub ready: bool,
    /// Requests that wait for it.
    pub queue: usize,
}

impl Metrics {
    /// Counts a request that is through.
    pub fn served(&self, route: &'static str, status: u16, took: Duration) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry((route, status)).or_default() += 1;
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let of = times.entry(route).or_default();
        let seconds = took.as_secs_f64();
        for (bucket, end) in of.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= end);
        }
        of.count += 1;
        of.seconds += seconds;
    }

    /// All of it as text.
    pub fn text(&self, gauges: &[Gauge]) -> String {
        let mut out = String::new();
        let mut family = |name: &str, kind: &str, help: &str, samples: Vec<(String, String)>| {
            let _ = writeln!(out, "# HELP reasonscope_{name} {help}\n# TYPE reasonscope_{name} {kind}");
            for (labels, value) in samples {
                let _ = writeln!(out, "reasonscope_{name}{labels} {value}");
            }
        };
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let samples =
            requests.into_iter().map(|((route, status), n)| (format!("{{route=\"{route}\",status=\"{status}\"}}"), n.to_string()));
        family("requests_total", "counter", "Requests by route and status.", samples.collect());
        let one = |value: String| vec![(String::new(), value)];
        let number = |n: &AtomicU64| one(n.load(Ordering::Relaxed).to_string());
        let gauge = |n: &AtomicI64| one(n.load(Ordering::Relaxed).to_string());
        family("requests_in_flight", "gauge", "Requests that are being served.", gauge(&self.in_flight));
        family("connections", "gauge", "Connections that are open.", gauge(&self.connections));
        let of = |value: fn(&Gauge) -> String| gauges.iter().map(|g| (format!("{{reward=\"{}\"}}", label(&g.reward)), value(g))).collect();
        family("queue_depth", "gauge", "Requests that wait for a reward model.", of(|g| g.queue.to_string()));
        family("ready", "gauge", "Whether a reward model can be asked.", of(|g| u8::from(g.ready).to_string()));
        family("problems_total", "counter", "Problems whose candidates were read to the end.", number(&self.problems));
        family("cancelled_total", "counter", "Requests that were given up before they were through.", number(&self.cancelled));
        family("tokens_total", "counter", "Token rewards that reward models gave.", number(&self.tokens));
        family("text_bytes_total", "counter", "Bytes of candidates that were handed to reward models.", number(&self.bytes));
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let name = "request_seconds";
        let _ = writeln!(
            out,
            "# HELP reasonscope_{name} Time from a request's head to the end of its answer.\n# TYPE reasonscope_{name} histogram"
        );
        for (route, of) in times {
            for (n, end) in of.buckets.iter().zip(BUCKETS) {
                let _ = writeln!(out, "reasonscope_{name}_bucket{{route=\"{route}\",le=\"{end}\"}} {n}");
            }
            let _ = writeln!(out, "reasonscope_{name}_bucket{{route=\"{route}\",le=\"+Inf\"}} {}", of.count);
            let _ = writeln!(out, "reasonscope_{name}_sum{{route=\"{route}\"}} {}", of.seconds);
            let _ = writeln!(out, "reasonscope_{name}_count{{route=\"{route}\"}} {}", of.count);
        }
        out
    }
}

/// A label's value with what would end it escaped.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::default();
        metrics.served("/score", 200, Duration::from_millis(20));
        metrics.served("/score", 200, Duration::from_millis(300));
        metrics.served("/score", 503, Duration::from_secs(400));
        metrics.tokens.fetch_add(7, Ordering::Relaxed);
        let text = metrics.text(&[Gauge { reward: "a\"b\\c\nd".into(), ready: true, queue: 3 }]);
        for line in [
            "reasonscope_requests_total{route=\"/score\",status=\"200\"} 2",
            "reasonscope_requests_total{route=\"/score\",status=\"503\"} 1",
            "reasonscope_tokens_total 7",
            "reasonscope_queue_depth{reward=\"a\\\"b\\\\c\\nd\"} 3",
            "reasonscope_request_seconds_bucket{route=\"/score\",le=\"0.01\"} 0",
            "reasonscope_request_seconds_bucket{route=\"/score\",le=\"0.025\"} 1",
            "reasonscope_request_seconds_bucket{route=\"/score\",le=\"0.5\"} 2",
            "reasonscope_request_seconds_bucket{route=\"/score\",le=\"+Inf\"} 3",
            "reasonscope_request_seconds_count{route=\"/score\"} 3",
            "# TYPE reasonscope_request_seconds histogram",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }
}
