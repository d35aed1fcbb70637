//! How fast one account may send.

use std::time::Duration;

/// The time between two sends of an account; zero for no limit (`pace_per_second` = 0 or less).
pub fn interval(pace_per_second: f64) -> Duration {
    if pace_per_second.is_finite() && pace_per_second > 0.0 {
        Duration::from_secs_f64((1.0 / pace_per_second).min(86_400.0))
    } else {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(interval(0.0), Duration::ZERO);
        assert_eq!(interval(-1.0), Duration::ZERO);
        assert_eq!(interval(f64::NAN), Duration::ZERO);
        assert_eq!(interval(4.0), Duration::from_millis(250));
        assert_eq!(interval(1e-12), Duration::from_secs(86_400));
    }
}
