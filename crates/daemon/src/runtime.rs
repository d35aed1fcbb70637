//! What the listeners and workers of one Odoo database share.

use std::fmt;
use std::sync::{Arc, RwLock};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use wabridge_domain::Clock;
use wabridge_domain::seal::KeyRing;
use wabridge_store::Database;

use crate::accounts::Accounts;
use crate::agreement::Agreement;
use crate::config;
use crate::gather::Gather;
use crate::http::auth::{Arrived, Checked};

/// What a database can be used for at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Not reached yet, or lost. Webhooks 503, RPC 1501.
    Unavailable(String),
    /// Everything works.
    Ready,
    /// A copy or restore that nobody decided about: webhooks and reads work, nothing is sent.
    Held(String),
    /// The addon's schema does not fit any more: webhooks are journaled only, RPC 1502. One line a difference.
    JournalOnly(Vec<String>),
    /// `wabridge detach`: no connection is held; webhooks 503, RPC 1501.
    Detached,
}

impl Phase {
    pub fn can_send(&self) -> bool {
        matches!(self, Self::Ready)
    }

    /// True where events may be applied to Odoo's tables and RPC answered.
    pub fn can_apply(&self) -> bool {
        matches!(self, Self::Ready | Self::Held(_))
    }

    /// True where webhooks can be journaled.
    pub fn can_journal(&self) -> bool {
        matches!(self, Self::Ready | Self::Held(_) | Self::JournalOnly(_))
    }

    /// The word in health answers and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Ready => "ready",
            Self::Held(_) => "held",
            Self::JournalOnly(_) => "journal_only",
            Self::Detached => "detached",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "unavailable: {why}"),
            Self::Ready => f.write_str("ready"),
            Self::Held(why) => write!(f, "held: {why}"),
            Self::JournalOnly(why) => write!(f, "journal-only: {}", why.join("; ")),
            Self::Detached => f.write_str("detached"),
        }
    }
}

/// Knocks on the doors of the workers; a lost knock costs at most their polling interval.
#[derive(Debug, Default)]
pub struct Wakes {
    /// Something may be due in the outbox.
    pub outbox: Notify,
    /// Rows may stand in whatsapp_outbox_in.
    pub adopt: Notify,
    /// Accounts may have changed.
    pub accounts: Notify,
    /// Rows stand in whatsapp_event: poke Odoo.
    pub events: Notify,
    /// Something is pending in the journal.
    pub sweep: Notify,
    /// Files are to be fetched.
    pub media: Notify,
    /// Files are to be handed to providers.
    pub uploads: Notify,
    /// A synchronisation may wait for a worker.
    pub sync: Notify,
    /// Values may be sealed with another than the active key.
    pub reseal: Notify,
}

/// One Odoo database: its connections, keys, accounts, phase and workers.
pub struct Runtime {
    pub name: String,
    pub settings: config::Database,
    pub limits: config::Limits,
    pub journal: config::Journal,
    pub audit: config::Audit,
    pub store: Database,
    pub keys: KeyRing,
    /// The one HTTP client of this process (no redirects, bounded time-outs).
    pub http: reqwest::Client,
    /// Files of messages; shared by the databases of this process.
    pub media: Arc<crate::media::Media>,
    pub clock: Arc<dyn Clock>,
    /// This process, as the owner of leases.
    pub owner: Uuid,
    pub wakes: Wakes,
    /// Signed calls whose nonce is to be recorded, and their users' rights read; None where that could not be.
    pub arrivals: Arc<Gather<Arrived, Option<Checked>>>,
    /// Users whose rights are to be read.
    pub rights: Arc<Gather<i32, crate::access::Read>>,
    /// Sends that are to be stored.
    pub accepting: Arc<Gather<crate::send::New, crate::send::Stored>>,
    /// Callers that wait for the outcome of a send.
    pub sends: crate::send::Waiters,
    /// Changed rows, for the live screen.
    pub live: crate::workers::live::Hints,
    /// How many calls its keys may still make.
    pub rates: crate::http::rate::Rates,
    /// Unauthenticated requests, not written yet.
    pub refusals: crate::refusals::Refusals,
    /// Where webhooks are handed in; set once its batchers run.
    pub ingest: std::sync::OnceLock<crate::ingest::IngestHandle>,
    /// Set while everything winds down: claim nothing new.
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    phase: watch::Sender<Phase>,
    installation: RwLock<Option<Uuid>>,
    /// None until they were read once.
    accounts: RwLock<Option<Arc<Accounts>>>,
    agreement: RwLock<Agreement>,
}

impl Runtime {
    #[expect(
        clippy::too_many_arguments,
        reason = "each is one thing that the process owns and this shares"
    )]
    pub fn new(
        name: String,
        settings: config::Database,
        limits: config::Limits,
        journal: config::Journal,
        audit: config::Audit,
        store: Database,
        keys: KeyRing,
        http: reqwest::Client,
        media: Arc<crate::media::Media>,
        clock: Arc<dyn Clock>,
        owner: Uuid,
        stop: CancellationToken,
    ) -> Self {
        Self {
            name,
            settings,
            limits,
            journal,
            audit,
            store,
            keys,
            http,
            media,
            clock,
            owner,
            wakes: Wakes::default(),
            arrivals: Arc::new(Gather::new(256, 1)),
            rights: Arc::new(Gather::new(256, 1)),
            accepting: Arc::new(Gather::new(64, 2)),
            sends: crate::send::Waiters::default(),
            live: crate::workers::live::Hints::default(),
            rates: crate::http::rate::Rates::default(),
            refusals: crate::refusals::Refusals::default(),
            ingest: std::sync::OnceLock::new(),
            stop,
            tasks: TaskTracker::new(),
            phase: watch::Sender::new(Phase::Unavailable("not connected yet".into())),
            installation: RwLock::new(None),
            accounts: RwLock::default(),
            agreement: RwLock::default(),
        }
    }

    pub fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    /// Follows the phase; the receiver sees the present one first.
    pub fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Returns the former phase when it changed.
    pub fn set_phase(&self, phase: Phase) -> Option<Phase> {
        let mut former = None;
        self.phase.send_if_modified(|now| {
            if *now == phase {
                return false;
            }
            former = Some(std::mem::replace(now, phase.clone()));
            true
        });
        former
    }

    /// Waits until `fits` holds or the daemon stops; false when it stops.
    pub async fn wait_for(&self, fits: impl Fn(&Phase) -> bool) -> bool {
        let mut phase = self.phase.subscribe();
        tokio::select! {
            reached = phase.wait_for(|phase| fits(phase)) => reached.is_ok(),
            () = self.stop.cancelled() => false,
        }
    }

    /// The accounts as last read; none before.
    pub fn accounts(&self) -> Arc<Accounts> {
        self.accounts.read().expect("no holder of this lock can panic").clone().unwrap_or_default()
    }

    /// False until the accounts were read once: who they are for cannot be said yet.
    pub fn knows_accounts(&self) -> bool {
        self.accounts.read().expect("no holder of this lock can panic").is_some()
    }

    pub fn set_accounts(&self, accounts: Accounts) {
        *self.accounts.write().expect("no holder of this lock can panic") =
            Some(Arc::new(accounts));
    }

    /// Versions, as last looked at; nothing before.
    pub fn agreement(&self) -> Agreement {
        self.agreement.read().expect("no holder of this lock can panic").clone()
    }

    /// Returns the former one.
    pub fn set_agreement(&self, agreement: Agreement) -> Agreement {
        let mut held = self.agreement.write().expect("no holder of this lock can panic");
        std::mem::replace(&mut held, agreement)
    }

    /// `wabridge.meta.installation_id`, known once the database was reached.
    pub fn installation(&self) -> Option<Uuid> {
        *self.installation.read().expect("no holder of this lock can panic")
    }

    pub fn set_installation(&self, id: Uuid) {
        *self.installation.write().expect("no holder of this lock can panic") = Some(id);
    }
}
