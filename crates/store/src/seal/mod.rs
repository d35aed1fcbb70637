//! Keys that seal, the daemons that hold them, and the values that are sealed.

pub mod key;
pub mod replica;
pub mod value;
