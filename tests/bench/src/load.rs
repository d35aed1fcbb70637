//! Webhooks over kept connections, as fast as they are answered or at a rate of their own.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use wabridge_testkit::Wire;

use crate::events::{Events, request};
use crate::visible::Watch;

#[derive(Debug, Clone)]
pub struct Plan {
    pub connections: usize,
    /// Webhooks a second over all; None: each connection sends when it was answered.
    pub rate: Option<f64>,
    /// Not counted, before the time begins.
    pub warm: Duration,
    pub time: Duration,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Answered 200 in the time that counts.
    pub counted: u64,
    /// Answered 200 at all, and of these texts.
    pub acked: u64,
    pub texts: u64,
    /// Anything else than 200.
    pub refused: u64,
    /// From the moment a webhook was due to its answer, microseconds, sorted; of those that count.
    pub latencies: Vec<u32>,
    pub seconds: f64,
}

impl Outcome {
    /// What another run acknowledged too.
    pub fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.texts += other.texts;
        self.refused += other.refused;
    }

    pub fn per_second(&self) -> f64 {
        count(self.counted) / self.seconds
    }

    /// A percentile in milliseconds.
    pub fn latency_ms(&self, share: f64) -> f64 {
        percentile(&self.latencies, share) / 1000.0
    }
}

pub fn count(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}

/// Of sorted values the one below which `share` of them are.
pub fn percentile(sorted: &[u32], share: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index of a few million values"
    )]
    let at = ((sorted.len() - 1) as f64 * share) as usize;
    f64::from(sorted[at])
}

/// Runs it. Texts are handed to `watch` with the moment they were sent.
pub async fn run(url: &str, events: &Events, plan: &Plan, watch: Option<&Watch>) -> Outcome {
    let outcome: Rc<RefCell<Outcome>> = Rc::default();
    let begin = Instant::now();
    let (from, until) = (begin + plan.warm, begin + plan.warm + plan.time);
    let set = LocalSet::new();
    for n in 0..plan.connections {
        let (events, outcome, watch) = (events.clone(), Rc::clone(&outcome), watch.cloned());
        let mut wire = Wire::to(url);
        let connections = f64::from(u32::try_from(plan.connections).expect("they are few"));
        let gap = plan.rate.map(|rate| Duration::from_secs_f64(connections / rate));
        let place = f64::from(u32::try_from(n).expect("they are few")) / connections;
        let mut due = gap.map(|gap| begin + gap.mul_f64(place));
        set.spawn_local(async move {
            loop {
                let sent = match (&mut due, gap) {
                    (Some(due), Some(gap)) => {
                        let at = *due;
                        *due += gap;
                        tokio::time::sleep_until(at.into()).await;
                        at
                    }
                    _ => Instant::now(),
                };
                if sent >= until {
                    return;
                }
                let webhook = events.next();
                if let (Some(watch), Some(id)) = (&watch, &webhook.text) {
                    watch.sent(id, sent);
                }
                let request = request(&webhook);
                // Until it is taken, as a provider does; what counts is when it was due.
                loop {
                    match wire.ask(&request).await {
                        Ok(200) => break,
                        Ok(503) | Err(_) => {
                            outcome.borrow_mut().refused += 1;
                            tokio::time::sleep(Duration::from_millis(10)).await;
                        }
                        Ok(other) => panic!("a webhook was answered {other}"),
                    }
                }
                let now = Instant::now();
                let mut outcome = outcome.borrow_mut();
                outcome.acked += 1;
                outcome.texts += u64::from(webhook.text.is_some());
                if sent >= from && now <= until {
                    outcome.counted += 1;
                    let took = now.duration_since(sent).as_micros();
                    outcome.latencies.push(u32::try_from(took).unwrap_or(u32::MAX));
                }
            }
        });
    }
    set.await;
    let mut outcome = Rc::into_inner(outcome).expect("the connections have ended").into_inner();
    outcome.latencies.sort_unstable();
    outcome.seconds = plan.time.as_secs_f64();
    outcome
}
