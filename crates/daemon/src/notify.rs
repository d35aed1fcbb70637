//! Tells the service manager how the daemon is doing (systemd's `Type=notify`, `WatchdogSec=`). Without
//! `NOTIFY_SOCKET` in the environment nobody listens, and nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// The listeners are open and a database is served.
pub fn ready(databases: usize) {
    let text =
        format!("serving {databases} {}", if databases == 1 { "database" } else { "databases" });
    say(&[NotifyState::Ready, NotifyState::Status(&text)]);
}

/// Nothing new is begun; what is under way is finished.
pub fn stopping() {
    say(&[NotifyState::Stopping, NotifyState::Status("finishing what is under way")]);
}

/// Two signs of life within the time that the manager allows, from a task like those that do the work: they end when no
/// task runs any more, and the manager starts the daemon again. Returns when `stop` is cancelled; at once where the
/// manager expects none.
pub async fn watchdog(stop: CancellationToken) {
    let Some(allowed) = sd_notify::watchdog_enabled().filter(|allowed| !allowed.is_zero()) else {
        return;
    };
    info!(allowed_ms = allowed.as_millis(), "the service manager's watchdog is answered");
    let mut ticks = tokio::time::interval(pause(allowed));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.cancelled() => return,
        }
        // Through the scheduler, as everything else goes.
        if let Err(error) = tokio::spawn(async { say(&[NotifyState::Watchdog]) }).await {
            warn!("a sign of life could not be given: {error}");
        }
    }
}

/// Half of what is allowed, as systemd recommends.
fn pause(allowed: Duration) -> Duration {
    (allowed / 2).max(Duration::from_millis(1))
}

fn say(states: &[NotifyState<'_>]) {
    match sd_notify::notify(states) {
        Ok(()) => debug!("the service manager was told: {states:?}"),
        // It notices itself what it was not told: a start that takes too long, a watchdog that is not answered.
        Err(error) => warn!("the service manager cannot be told how the daemon is doing: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_signs_in_the_time_allowed() {
        assert_eq!(pause(Duration::from_secs(60)), Duration::from_secs(30));
        assert_eq!(pause(Duration::from_micros(1)), Duration::from_millis(1));
    }
}
