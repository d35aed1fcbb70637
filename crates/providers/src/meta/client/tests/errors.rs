//! The table of Meta's errors: what each code means for a send, and what a failed status with it is called.

use super::*;
use crate::meta::errors::kind;

#[tokio::test]
async fn codes_of_the_table() {
    use AccountState as S;
    use Kind as K;
    let message = |code: i64| format!("(#{code}) bad [redacted]: in detail");
    let down = |code, state| SendError::AccountDown { state, message: message(code) };
    let refused = |code, kind| SendError::Refused { kind, message: message(code) };
    let later = |code, wait: Option<u64>| SendError::NotAccepted {
        message: message(code),
        retry_after: wait.map(Duration::from_secs),
    };
    let slower =
        |wait: Option<u64>| SendError::RateLimited { retry_after: wait.map(Duration::from_secs) };
    let table: Vec<(i64, SendError, Kind)> = [
        (&[0, 190][..], K::ProviderAuthFailed),
        (&[368, 131_031, 131_042, 131_048, 131_064], K::ProviderUnavailable),
        (&[1, 2, 131_000, 131_016], K::ProviderUnavailable),
        (
            &[4, 80_007, 130_429, 131_056, 131_057, 131_208, 132_069, 2_494_100],
            K::ProviderRateLimited,
        ),
        (&[131_047], K::OutsideServiceWindow),
        (&[131_050], K::RecipientOptedOut),
        (&[131_021, 131_026, 131_030, 131_062], K::InvalidRecipient),
        (&[131_051, 131_215], K::UnsupportedByProvider),
        (&[131_053], K::MediaTypeUnsupported),
        (&[3, 10, 200, 299, 131_005], K::ProviderAuthFailed),
        (
            &[100, 131_008, 131_009, 132_000, 132_001, 132_005, 132_007, 132_008, 132_012],
            K::InvalidContent,
        ),
        (
            &[
                33, 130_472, 130_497, 131_020, 131_037, 131_041, 131_045, 131_049, 131_052,
                131_059, 131_063, 131_201, 131_202, 131_204, 131_207, 131_209, 131_214, 132_015,
                132_016, 132_068, 133_016, 135_000, 137_000,
            ],
            K::ProviderRejected,
        ),
    ]
    .into_iter()
    .flat_map(|(codes, kind)| codes.iter().map(move |code| (*code, kind)))
    .map(|(code, kind)| {
        let expected = match code {
            0 | 190 => down(code, S::TokenDead),
            368 | 131_031 | 131_048 => down(code, S::Banned),
            131_042 | 131_064 => down(code, S::Disconnected),
            1 | 2 | 131_000 | 131_016 => later(code, None),
            131_056 => later(code, Some(6)),
            131_208 | 132_069 => later(code, Some(60)),
            130_429 => slower(None),
            4 | 80_007 | 131_057 => slower(Some(60)),
            2_494_100 => slower(Some(300)),
            _ => refused(code, kind),
        };
        (code, expected, kind)
    })
    .collect();
    for (code, expected, failed) in table {
        assert_eq!(kind(code), Some(failed), "a failed status with {code}");
        // The HTTP status varies and decides nothing.
        for status in [400, 403, 500] {
            let seen = outcome_of(status, &error_body(code)).await;
            assert_eq!(seen, expected, "{code} with {status}");
        }
    }
    // A code that the table does not know: the status decides.
    assert_eq!(outcome_of(400, &error_body(999_999)).await, refused(999_999, K::ProviderRejected));
    let error = outcome_of(500, &error_body(999_999)).await;
    assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    // A code as a string, an error with 200.
    let text = r#"{"error":{"code":"131047","message":"window"}}"#;
    let expected = SendError::Refused { kind: K::OutsideServiceWindow, message: "window".into() };
    assert_eq!(outcome_of(200, text).await, expected);
    let odd = outcome_of(200, r#"{"error":{"message":"odd"}}"#).await;
    assert_eq!(odd, SendError::Refused { kind: K::ProviderRejected, message: "odd".into() });
}

#[tokio::test]
async fn without_a_code_the_status_decides() {
    for (status, kind) in [
        (400, Kind::ProviderRejected),
        (403, Kind::ProviderRejected),
        (404, Kind::ProviderRejected),
        (413, Kind::InvalidContent),
    ] {
        let error = outcome_of(status, "<html>").await;
        assert!(
            matches!(error, SendError::Refused { kind: k, .. } if k == kind),
            "{status} {error:?}"
        );
    }
    for (status, state) in [
        (401, AccountState::TokenDead),
        (301, AccountState::Disconnected),
        (308, AccountState::Disconnected),
    ] {
        let error = outcome_of(status, "").await;
        assert!(
            matches!(error, SendError::AccountDown { state: s, .. } if s == state),
            "{error:?}"
        );
    }
    assert!(matches!(outcome_of(407, "").await, SendError::NotAccepted { .. }));
    for status in [302, 303, 408, 409, 500, 502, 503, 504, 599] {
        let error = outcome_of(status, "").await;
        assert!(matches!(error, SendError::Uncertain { .. }), "{status}: {error:?}");
    }
    let (base, _) = server(vec![(429, vec![("retry-after", "7".into())], String::new())]).await;
    let limited = SendError::RateLimited { retry_after: Some(Duration::from_secs(7)) };
    assert_eq!(outcome(&base).await.unwrap_err(), limited);
    let (base, _) = server(vec![(400, vec![("retry-after", "7".into())], error_body(4))]).await;
    assert_eq!(outcome(&base).await.unwrap_err(), limited, "what is asked for counts");
    // An answer that names no message is no proof of one.
    let long = format!(r#"{{"messages":[{{"id":"{}"}}]}}"#, "x".repeat(300));
    for body in ["", "<html>", "[]", "{}", r#"{"messages":[]}"#, r#"{"messages":[{}]}"#, &long] {
        let error = outcome_of(200, body).await;
        assert!(matches!(error, SendError::Uncertain { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn without_words_of_meta_there_are_our_own() {
    for (code, word) in [
        (190, "token"),
        (131_026, "not on WhatsApp"),
        (131_047, "send a template"),
        (131_049, "marketing"),
        (132_001, "synchronise"),
        (131_056, ""),
    ] {
        let bare = json!({"error": {"code": code}}).to_string();
        let error = outcome_of(400, &bare).await.to_string();
        assert!(error.contains(word) && !error.contains("no reason"), "{code}: {error}");
    }
    assert_eq!(kind(999_999), None, "a code of tomorrow is provider_rejected");
}
