//! The words of `operation`. A method of the RPC leaves its own name where it is carried out or fails; these are the
//! others. docs/PROTOCOL.md lists them, too.

/// A signed call that was refused because of who asked or how.
pub const REFUSED: &str = "rpc.refused";
/// A synchronisation ended, or a schedule's could not begin.
pub const SYNC_RUN: &str = "sync.run";
/// Rows past `audit.keep_days` were removed.
pub const RETENTION: &str = "audit.retention";
/// A new audit key was begun from a terminal.
pub const NEW_KEY: &str = "audit.new_key";
/// Commands about a whole database.
pub const ADOPT: &str = "database.adopt";
pub const NEUTRALIZE: &str = "database.neutralize";
pub const DETACH: &str = "database.detach";
pub const ATTACH: &str = "database.attach";
pub const EXPORT: &str = "database.export";
pub const DROP: &str = "database.drop";

/// Every word that is no method's name.
pub const OWN: &[&str] = &[
    REFUSED,
    SYNC_RUN,
    RETENTION,
    NEW_KEY,
    ADOPT,
    NEUTRALIZE,
    DETACH,
    ATTACH,
    EXPORT,
    DROP,
    "credential.change",
    "keys.rotate",
    "keys.retire",
    "rpc.unauthenticated",
    "webhook.unauthenticated",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stands_in_the_protocol() {
        let protocol = include_str!("../../../../docs/PROTOCOL.md");
        for word in OWN {
            assert!(protocol.contains(&format!("`{word}`")), "{word}");
        }
    }
}
