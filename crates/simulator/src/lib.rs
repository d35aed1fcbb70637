//! Plays the WhatsApp providers over HTTP: for the demo, for tests, for staging.
//!
//! One listener answers as every provider that is built and takes the control calls
//! under `/_control`. Whose call it is says its token: an account of the accounts file
//! ([`Options::from_file`]) or one added through `/_control/state`. An unknown token is refused in
//! the words of the provider.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `state`, `people`, `groups`, `message`, `media` | what exists, how people behave: the same for all providers |
//! | `bulk` | people and messages by the hundred thousand, made up when looked at |
//! | `world`, `changes` | what happens by itself: echoes, statuses, answers; what control calls let happen |
//! | `vendor` | the seam: a provider turns calls into changes and events into webhooks |
//! | `whapi`, `wassenger`, `meta` | a provider each, written from its fact sheet alone |
//! | `custom` | a provider that speaks the generic format of `docs/CUSTOM_PROVIDER.md` |
//! | `webhooks` | delivery: at least once, in order within a chat, bounded |
//! | `faults`, `requests`, `control` | what tests steer and look at |
//!
//! ```text
//! wabridge simulate --listen 127.0.0.1:9100 --accounts accounts.json
//! curl -X POST 127.0.0.1:9100/_control/inbound -d '{"from":"+447700900123","text":"Hello"}'
//! curl '127.0.0.1:9100/_control/requests?since=0'
//! ```
//!
//! Absent on purpose: the providers' client types of the bridge. A mistake in the client must not
//! be repeated here.

mod bulk;
mod changes;
mod clock;
mod control;
mod custom;
mod faults;
mod form;
mod group_calls;
mod groups;
mod http_server;
mod media;
mod message;
mod meta;
mod options;
mod people;
mod requests;
mod state;
mod vendor;
mod wassenger;
mod webhooks;
mod whapi;
mod world;

pub use groups::GroupSpec;
pub use options::{Account, Options, Provider};
pub use people::PersonSpec;

use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Answers in the making get this long once the simulator is told to stop.
const GRACE: Duration = Duration::from_secs(2);

/// Why the simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("cannot read the accounts file {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("wrong accounts: {0}")]
    Options(String),
    #[error("cannot make the HTTP client for webhooks: {0}")]
    Client(String),
}

/// Serves until `stop` is cancelled; then finishes the answers in the making and returns.
///
/// # Errors
/// The options name an account, person or group that cannot exist.
pub async fn serve(
    listener: TcpListener,
    options: Options,
    stop: CancellationToken,
) -> Result<(), SimulatorError> {
    let tasks = TaskTracker::new();
    // Reactions and webhook lanes end with this call, also when it is dropped.
    let quit = stop.child_token();
    let _guard = quit.clone().drop_guard();
    let mut state = state::State::new(&options)?;
    if let Ok(address) = listener.local_addr() {
        state.base_url = format!("http://{address}");
    }
    let world = Arc::new(world::World::new(state, quit.clone(), tasks.clone())?);
    if let Ok(address) = listener.local_addr() {
        let accounts = options.accounts.len();
        tracing::info!(accounts, "simulator listens on {address} with {accounts} accounts");
    }
    http_server::run(listener, control::router(world), stop, GRACE).await;
    quit.cancel();
    tasks.close();
    tasks.wait().await;
    Ok(())
}
