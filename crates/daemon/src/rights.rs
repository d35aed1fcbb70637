//! Says once, at the start, when the daemon's role may do more in a database than it needs: whoever takes the daemon over
//! could do that too.

use std::sync::Arc;

use tracing::{debug, info, warn};
use wabridge_store::rights;

use crate::runtime::{Phase, Runtime};

/// Looks when the database is first usable, then ends.
pub async fn tell(rt: Arc<Runtime>) {
    if !rt.wait_for(Phase::can_apply).await {
        return;
    }
    let name = &rt.name;
    match rights::compare(&rt.store).await {
        Ok(found) => {
            for line in &found.missing {
                warn!(db.name = %name, "database {name}: role {} {}: {}", found.role, line.what, line.cure);
            }
            match found.excess_in_short() {
                Some(text) => warn!(
                    db.name = %name,
                    "database {name}: role {} may do more than the daemon needs: {text}. `wabridge doctor` lists it with the SQL that takes it back",
                    found.role
                ),
                None => {
                    info!(db.name = %name, "database {name}: role {} may do what the daemon needs and no more", found.role);
                }
            }
        }
        // Work meets the same cause and tells it louder.
        Err(error) => {
            debug!(db.name = %name, "database {name}: rights could not be looked at: {error}");
        }
    }
}
