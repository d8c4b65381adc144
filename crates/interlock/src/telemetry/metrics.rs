//! Counters of one node and their text form.
//!
//! INVARIANT: a counter never goes down while the process runs. It does not know who reads it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Media type of [`Metrics::render`] (Prometheus text format 0.0.4).
pub const METRICS_MEDIA_TYPE: &str = "text/plain; version=0.0.4";

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `more`.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Sets the number.
    pub fn set(&self, now: u64) {
        self.0.store(now, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one node counts since its process started.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Inputs that the node has taken.
    pub inputs: Counter,
    /// Groups that were made durable.
    pub groups: Counter,
    /// Records in them.
    pub records: Counter,
    /// Bytes that the journal holds.
    pub journal_bytes: Gauge,
    /// Calls to partners that have ended.
    pub calls: Counter,
    /// Those without a usable answer.
    pub call_failures: Counter,
    /// Attempts to hand a message to the gateway.
    pub deliveries: Counter,
    /// Those that failed.
    pub delivery_failures: Counter,
    /// Answers held back because their term had ended when they came to the socket.
    pub voided: Counter,
    /// Requests refused because the queue was full.
    pub refused: Counter,
    /// Requests of partners whose token was not accepted.
    pub unauthorised: Counter,
    /// Requests answered at the doors with 2xx or 3xx.
    pub requests_ok: Counter,
    /// Requests answered with 4xx.
    pub requests_denied: Counter,
    /// Requests answered with 5xx.
    pub requests_failed: Counter,
}

impl Metrics {
    /// Counts one answer at a door by its status.
    pub fn answered(&self, status: u16) {
        match status {
            0..=399 => self.requests_ok.add(1),
            400..=499 => self.requests_denied.add(1),
            _ => self.requests_failed.add(1),
        }
    }

    /// The text form; `queue_length` is the number of inputs that wait now.
    pub fn render(&self, queue_length: usize) -> String {
        let gauges = [
            (
                "queue_length",
                "Inputs that wait for the writer.",
                queue_length as u64,
            ),
            (
                "journal_bytes",
                "Bytes that the journal holds.",
                self.journal_bytes.get(),
            ),
        ];
        let mut text = String::new();
        for (name, help, value) in gauges {
            line(&mut text, "gauge", name, help, value);
        }
        for (name, help, counter) in self.counters() {
            line(&mut text, "counter", name, help, counter.get());
        }
        text
    }

    /// Name, help and number of every counter.
    const fn counters(&self) -> [(&'static str, &'static str, &Counter); 13] {
        [
            ("inputs_total", "Inputs taken.", &self.inputs),
            ("groups_total", "Groups made durable.", &self.groups),
            ("records_total", "Records made durable.", &self.records),
            ("calls_total", "Calls to partners.", &self.calls),
            (
                "call_failures_total",
                "Calls without a usable answer.",
                &self.call_failures,
            ),
            (
                "deliveries_total",
                "Attempts to hand a message to the gateway.",
                &self.deliveries,
            ),
            (
                "delivery_failures_total",
                "Attempts that failed.",
                &self.delivery_failures,
            ),
            (
                "voided_total",
                "Answers held back at the end of a term.",
                &self.voided,
            ),
            (
                "refused_total",
                "Requests refused by a full queue.",
                &self.refused,
            ),
            (
                "unauthorised_total",
                "Requests of partners without an accepted token.",
                &self.unauthorised,
            ),
            (
                "requests_ok_total",
                "Requests answered with success.",
                &self.requests_ok,
            ),
            (
                "requests_denied_total",
                "Requests answered with 4xx.",
                &self.requests_denied,
            ),
            (
                "requests_failed_total",
                "Requests answered with 5xx.",
                &self.requests_failed,
            ),
        ]
    }
}

fn line(text: &mut String, kind: &str, name: &str, help: &str, value: u64) {
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "# HELP interlock_{name} {help}\n# TYPE interlock_{name} {kind}\ninterlock_{name} {value}\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_has_every_number() {
        let metrics = Metrics::default();
        metrics.records.add(7);
        metrics.journal_bytes.set(99);
        for status in [200, 404, 503, 503] {
            metrics.answered(status);
        }
        let text = metrics.render(3);
        for line in [
            "interlock_queue_length 3",
            "interlock_journal_bytes 99",
            "# TYPE interlock_records_total counter",
            "interlock_records_total 7",
            "interlock_requests_ok_total 1",
            "interlock_requests_denied_total 1",
            "interlock_requests_failed_total 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
    }
}
