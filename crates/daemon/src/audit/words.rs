//! The words of `operation`. A method of the RPC leaves its own name where it is carried out or fails; these are the
//! others. docs/PROTOCOL.md lists both.

/// A signed call that was refused because of who asked or how.
pub const REFUSED: &str = "rpc.refused";
/// A secret was sealed for an account.
pub const CREDENTIAL: &str = "credential.change";
