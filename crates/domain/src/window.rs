//! The customer service window: how long free messages may follow what the customer wrote.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::Clock;

/// Meta, "Customer service windows": 24 hours from the customer's last message.
const LENGTH: SignedDuration = SignedDuration::from_hours(24);

/// What happens to a free message outside the window (`whatsapp_configuration.window_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WindowPolicy {
    /// The account says nothing: the provider decides.
    #[default]
    Provider,
    Refuse,
    /// It waits until the customer writes.
    Wait,
}

impl WindowPolicy {
    pub fn from_column(word: Option<&str>) -> Self {
        match word {
            Some("refuse") => Self::Refuse,
            Some("wait") => Self::Wait,
            _ => Self::Provider,
        }
    }
}

/// How long the window is open still; None once it is closed, or where the customer never wrote.
pub fn left(last_inbound_at: Option<Timestamp>, clock: &dyn Clock) -> Option<Duration> {
    let end = last_inbound_at?.checked_add(LENGTH).ok()?;
    Duration::try_from(end.duration_since(clock.now())).ok().filter(|left| !left.is_zero())
}

/// The customer must have written after this for a window to be open now.
pub fn open_since(clock: &dyn Clock) -> Timestamp {
    clock.now().checked_sub(LENGTH).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(Timestamp);

    impl Clock for At {
        fn now(&self) -> Timestamp {
            self.0
        }
    }

    #[test]
    fn the_limit_to_the_second() {
        let wrote = Timestamp::from_second(1_700_000_000).unwrap();
        let after = |s: i64| At(wrote.checked_add(SignedDuration::from_secs(s)).unwrap());
        let day = 86_400;
        assert_eq!(left(Some(wrote), &after(0)), Some(Duration::from_secs(86_400)));
        assert_eq!(left(Some(wrote), &after(day - 1)), Some(Duration::from_secs(1)));
        assert_eq!(left(Some(wrote), &after(day)), None);
        assert_eq!(left(Some(wrote), &after(day + 1)), None);
        assert_eq!(left(None, &after(0)), None);
        // The provider's clock may be ahead of ours.
        assert!(left(Some(wrote), &after(-5)).is_some());
        assert_eq!(open_since(&after(day)), wrote);
    }

    #[test]
    fn words() {
        assert_eq!(WindowPolicy::from_column(Some("refuse")), WindowPolicy::Refuse);
        assert_eq!(WindowPolicy::from_column(Some("wait")), WindowPolicy::Wait);
        assert_eq!(WindowPolicy::from_column(None), WindowPolicy::Provider);
    }
}
