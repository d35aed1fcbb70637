//! What both listeners share.

use std::collections::BTreeMap;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use wabridge_domain::Clock;

use crate::config::Config;
use crate::runtime::Runtime;

/// One process: its settings and the databases it serves.
pub struct App {
    pub config: Config,
    pub runtimes: BTreeMap<String, Arc<Runtime>>,
    pub clock: Arc<dyn Clock>,
    pub metrics: PrometheusHandle,
}

impl App {
    /// True once at least one database can take webhooks and the daemon is not about to stop.
    pub fn is_up(&self) -> bool {
        self.runtimes.values().any(|rt| rt.phase().can_journal() && !rt.stop.is_cancelled())
    }
}
