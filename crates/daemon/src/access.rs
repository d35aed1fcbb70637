//! Who may use which account, decided below the addon on each call (design section 5).
//!
//! Rights are read from the database each time, for all calls that came meanwhile at once: a user who loses a group
//! or an account loses it with his next call.

use std::cell::Cell;
use std::sync::Arc;

use wabridge_domain::Kind;
use wabridge_domain::account::AccountId;
use wabridge_domain::error::Refusal;
use wabridge_domain::recipient::Recipient;
use wabridge_store::odoo::users::{self, Entitlement, Standing};
use wabridge_store::{Database, GenericClient, StoreError, read};

use crate::accounts::{Account, Accounts};
use crate::runtime::{Phase, Runtime};
use crate::send::number;

/// The uid that acts as the system: every account, stored user NULL.
pub const SYSTEM_UID: i32 = 1;

/// One sentence for all: it does not tell an account that is not yours from one that does not exist.
const DENIED: &str = "this user may not use this account; a WhatsApp administrator can assign it";

/// A user who may use the addon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: i32,
    pub role: Role,
    /// The company he works in.
    pub company_id: Option<i32>,
    pub companies: Vec<i32>,
    /// Accounts that name him or one of his groups.
    assigned: Vec<AccountId>,
    /// All accounts, as they stood when his rights were read.
    standings: Arc<[Standing]>,
}

/// What was read for one user: his entitlement, where he is one, and all accounts.
pub type Read = Result<(Option<Entitlement>, Arc<[Standing]>), Refusal>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    User,
    Administrator,
    /// Uid 1.
    System,
}

impl User {
    /// What goes into `user_id` columns.
    pub fn stored(&self) -> Option<i32> {
        (self.role != Role::System).then_some(self.uid)
    }

    pub fn is_administrator(&self) -> bool {
        self.role != Role::User
    }

    fn system(standings: Arc<[Standing]>) -> Self {
        Self {
            uid: SYSTEM_UID,
            role: Role::System,
            company_id: None,
            companies: vec![],
            assigned: vec![],
            standings,
        }
    }

    fn of(entitlement: Entitlement, standings: Arc<[Standing]>) -> Option<Self> {
        let role = match (entitlement.is_admin, entitlement.is_user) {
            (true, _) => Role::Administrator,
            (false, true) => Role::User,
            (false, false) => return None,
        };
        Some(Self {
            uid: entitlement.uid,
            role,
            company_id: entitlement.company_id,
            companies: entitlement.companies,
            assigned: entitlement.assigned,
            standings,
        })
    }

    /// Whether this user may use an account, archived or not.
    fn may_use(&self, account: &Standing) -> bool {
        let in_company = account.company_id.is_none_or(|company| self.companies.contains(&company));
        match self.role {
            Role::System => true,
            Role::Administrator => in_company,
            Role::User => in_company && self.assigned.contains(&account.id),
        }
    }
}

tokio::task_local! {
    /// See [`with_rights`].
    static AHEAD: Cell<Option<(i32, Read)>>;
}

/// Runs a call whose user's rights were read when it came in, together with the look at its nonce: the first who asks
/// for them in this call gets them, whoever asks later reads them anew.
pub async fn with_rights<F: Future>(ahead: Option<(i32, Read)>, call: F) -> F::Output {
    AHEAD.scope(Cell::new(ahead), call).await
}

/// What was read ahead for `uid`.
fn ahead(uid: i32) -> Option<Read> {
    let taken = AHEAD.try_with(Cell::take).ok().flatten();
    taken.and_then(|(of, read)| (of == uid).then_some(read))
}

/// The active user with this id who has the addon's user group.
///
/// # Errors
/// `access_denied` for anybody else, `database_unavailable`, `schema_mismatch`.
pub async fn require_user(rt: &Runtime, uid: i32) -> Result<User, Refusal> {
    check_phase(rt)?;
    let read = match ahead(uid) {
        Some(read) => read,
        None => {
            let store = rt.store.clone();
            let asked = rt.rights.ask(uid, move |uids| read_rights(store.clone(), uids)).await;
            asked.unwrap_or_else(|| Err(unavailable()))
        }
    };
    let (entitlement, standings) = read?;
    if uid == SYSTEM_UID {
        return Ok(User::system(standings));
    }
    entitlement.and_then(|entitlement| User::of(entitlement, standings)).ok_or_else(|| {
        Refusal::new(
            Kind::AccessDenied,
            "this user may not use WhatsApp; an administrator can add him to the WhatsApp group",
        )
    })
}

/// The rights of some users, each as of now.
async fn read_rights(store: Database, uids: Vec<i32>) -> Vec<Read> {
    let found: Result<Rights, StoreError> =
        read!(&store, "access.rights", |client| Rights::read(client, &uids).await);
    match found {
        Ok(rights) => uids.iter().map(|uid| Ok(rights.of(*uid))).collect(),
        Err(error) => vec![Err(refusal_of(store.name(), &error)); uids.len()],
    }
}

/// What was read for some users at once.
pub struct Rights {
    entitlements: Vec<Entitlement>,
    standings: Arc<[Standing]>,
}

impl Rights {
    /// # Errors
    /// The database's.
    pub async fn read(client: &impl GenericClient, uids: &[i32]) -> Result<Self, StoreError> {
        let (some, all) = (users::load(client, uids), users::standings(client));
        let (entitlements, standings) = tokio::try_join!(some, all)?;
        Ok(Self { entitlements, standings: standings.into() })
    }

    pub fn of(&self, uid: i32) -> (Option<Entitlement>, Arc<[Standing]>) {
        let entitlement = self.entitlements.iter().find(|one| one.uid == uid).cloned();
        (entitlement, Arc::clone(&self.standings))
    }
}

/// The account that `uid` named or, when he named none, his default: the one that last wrote in `chat`
/// (a number or chat id as the caller gave it), else the first by `sequence, id` of his company.
///
/// # Errors
/// `access_denied`, `configuration_not_found` (administrators), `configuration_inactive`,
/// `no_configuration_for_user`, and those of [`require_user`].
pub async fn resolve_account(
    rt: &Runtime,
    uid: i32,
    configuration_id: Option<AccountId>,
    chat: Option<&str>,
) -> Result<Arc<Account>, Refusal> {
    let user = require_user(rt, uid).await?;
    account_for(rt, &user, configuration_id, chat).await
}

/// As [`resolve_account`], for a user already loaded.
///
/// # Errors
/// As [`resolve_account`].
pub async fn account_for(
    rt: &Runtime,
    user: &User,
    configuration_id: Option<AccountId>,
    chat: Option<&str>,
) -> Result<Arc<Account>, Refusal> {
    match configuration_id {
        Some(id) => opened(rt, named(user, &user.standings, id)?).await,
        None => {
            let all = user.standings.iter().copied();
            let usable: Vec<Standing> = all.filter(|a| a.active && user.may_use(a)).collect();
            if let Some(chat) = chat
                && let Some(account) = last_writer(rt, &usable, chat).await?
            {
                return Ok(account);
            }
            let first = usable.iter().find(|account| {
                user.role == Role::System
                    || account.company_id.is_none_or(|company| user.company_id == Some(company))
            });
            match first {
                Some(account) => opened(rt, account.id).await,
                None => Err(Refusal::new(
                    Kind::NoConfigurationForUser,
                    "no active account is assigned to this user in his company; a WhatsApp administrator can assign one",
                )),
            }
        }
    }
}

/// All accounts that the user may use, archived ones included.
pub fn usable_accounts(user: &User) -> Vec<AccountId> {
    user.standings.iter().filter(|a| user.may_use(a)).map(|a| a.id).collect()
}

/// The account that is named, if the user may use it; else all in use that he may use.
///
/// # Errors
/// `access_denied`, `configuration_not_found`, `configuration_inactive`, `no_configuration_for_user`.
pub fn accounts_for(
    user: &User,
    configuration_id: Option<AccountId>,
) -> Result<Vec<AccountId>, Refusal> {
    if let Some(id) = configuration_id {
        return Ok(vec![named(user, &user.standings, id)?]);
    }
    let usable = user.standings.iter().filter(|a| a.active && user.may_use(a));
    let usable: Vec<AccountId> = usable.map(|a| a.id).collect();
    if usable.is_empty() {
        return Err(Refusal::new(
            Kind::NoConfigurationForUser,
            "no active account is assigned to this user; a WhatsApp administrator can assign one",
        ));
    }
    Ok(usable)
}

fn named(user: &User, standings: &[Standing], id: AccountId) -> Result<AccountId, Refusal> {
    let account = match standings.iter().find(|account| account.id == id) {
        Some(account) => account,
        None if user.is_administrator() => {
            return Err(Refusal::new(
                Kind::ConfigurationNotFound,
                format!("there is no account with id {id}"),
            ));
        }
        None => return Err(Refusal::new(Kind::AccessDenied, DENIED)),
    };
    if !user.may_use(account) {
        return Err(Refusal::new(Kind::AccessDenied, DENIED));
    }
    if !account.active {
        return Err(Refusal::new(
            Kind::ConfigurationInactive,
            "this account is archived; a WhatsApp administrator can take it back into use",
        ));
    }
    Ok(id)
}

async fn last_writer(
    rt: &Runtime,
    usable: &[Standing],
    chat: &str,
) -> Result<Option<Arc<Account>>, Refusal> {
    // Each provider has its own words for one person's chat.
    let accounts = rt.accounts();
    let (ids, chats): (Vec<AccountId>, Vec<String>) = usable
        .iter()
        .filter_map(|standing| {
            let account = accounts.get(standing.id)?;
            let recipient = Recipient::parse(chat, account.country.as_deref()).ok()?;
            let adapter = account.adapter()?;
            let chat = adapter.chat(&recipient).ok()?;
            let forms = number::chats(adapter, &recipient);
            let others = forms.into_iter().map(|(_, other)| other.id).filter(|id| *id != chat.id);
            let ids: Vec<String> = others.chain([chat.id.clone()]).collect();
            Some(ids.into_iter().map(|id| (account.id, id)))
        })
        .flatten()
        .unzip();
    if ids.is_empty() {
        return Ok(None);
    }
    let writer = users::last_writer(&rt.store, &ids, &chats)
        .await
        .map_err(|error| store_refusal(rt, &error))?;
    Ok(writer.and_then(|id| accounts.get(id).cloned()))
}

/// The account with its secrets opened; one that is newer than what was last read is read now.
async fn opened(rt: &Runtime, id: AccountId) -> Result<Arc<Account>, Refusal> {
    if let Some(account) = rt.accounts().get(id) {
        return Ok(Arc::clone(account));
    }
    reload(rt).await?;
    rt.accounts().get(id).cloned().ok_or_else(|| {
        Refusal::new(
            Kind::UnsupportedByProvider,
            "this account names a provider that this version does not know",
        )
    })
}

/// Reads all accounts anew: for methods that are called right after credentials were set.
///
/// # Errors
/// `database_unavailable`, `schema_mismatch`.
pub async fn reload(rt: &Runtime) -> Result<(), Refusal> {
    let Some(installation) = rt.installation() else {
        return Err(unavailable());
    };
    let rows = wabridge_store::odoo::configuration::all(&rt.store)
        .await
        .map_err(|error| store_refusal(rt, &error))?;
    let (accounts, _problems_that_the_supervisor_logs) =
        Accounts::open(&rt.name, &rows, &rt.keys, installation, &rt.accounts());
    rt.set_accounts(accounts);
    Ok(())
}

/// # Errors
/// `database_unavailable`, `schema_mismatch`: what RPC answers where the database cannot be used.
pub fn check_phase(rt: &Runtime) -> Result<(), Refusal> {
    match rt.phase() {
        Phase::Ready | Phase::Held(_) => Ok(()),
        Phase::JournalOnly(_) => Err(Refusal::new(
            Kind::SchemaMismatch,
            "the addon's tables do not fit this version of the bridge; upgrade the older of the two",
        )),
        Phase::Unavailable(_) => Err(unavailable()),
        Phase::Detached => Err(Refusal::new(
            Kind::DatabaseUnavailable,
            "the bridge let go of this database for maintenance; `wabridge attach` takes it back",
        )),
    }
}

fn unavailable() -> Refusal {
    Refusal::new(
        Kind::DatabaseUnavailable,
        "the bridge cannot reach the database just now; try again later",
    )
}

/// A database error as the caller may see it; the cause goes to the log, here and only here.
pub fn store_refusal(rt: &Runtime, error: &StoreError) -> Refusal {
    refusal_of(&rt.name, error)
}

fn refusal_of(database: &str, error: &StoreError) -> Refusal {
    tracing::warn!(db.name = database, %error, "a call was refused because of the database: {error}");
    match error {
        StoreError::Unavailable(_) | StoreError::Other(_) => unavailable(),
        StoreError::Busy(_) => Refusal::new(
            Kind::Locked,
            "somebody else holds the rows this needs; try again in a moment",
        ),
        StoreError::Schema(_) => Refusal::new(
            Kind::SchemaMismatch,
            "the addon's tables or rights do not fit this version of the bridge; `wabridge doctor` names the difference",
        ),
        StoreError::Refused(_) => Refusal::new(
            Kind::Conflict,
            "the database refused the data; it may have changed meanwhile",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(role: Role) -> User {
        User {
            uid: 7,
            role,
            company_id: Some(1),
            companies: vec![1, 2],
            assigned: vec![10, 12, 13],
            standings: Arc::default(),
        }
    }

    fn account(id: i32, company_id: Option<i32>) -> Standing {
        Standing { id, active: id != 13, company_id }
    }

    #[test]
    fn matrix() {
        let all =
            [account(10, None), account(11, Some(1)), account(12, Some(3)), account(13, Some(2))];
        let kind = |role, id| named(&user(role), &all, id).map_err(|refusal| refusal.kind);
        use Kind::{AccessDenied, ConfigurationInactive, ConfigurationNotFound};
        // (account, user, administrator, system)
        for (id, plain, admin, system) in [
            (10, Ok(10), Ok(10), Ok(10)),
            (11, Err(AccessDenied), Ok(11), Ok(11)),
            (12, Err(AccessDenied), Err(AccessDenied), Ok(12)),
            (
                13,
                Err(ConfigurationInactive),
                Err(ConfigurationInactive),
                Err(ConfigurationInactive),
            ),
            (99, Err(AccessDenied), Err(ConfigurationNotFound), Err(ConfigurationNotFound)),
        ] {
            assert_eq!(kind(Role::User, id), plain, "user, account {id}");
            assert_eq!(kind(Role::Administrator, id), admin, "administrator, account {id}");
            assert_eq!(kind(Role::System, id), system, "system, account {id}");
        }
    }

    #[test]
    fn groups_make_roles() {
        let entitlement = |is_user, is_admin| Entitlement {
            uid: 7,
            is_user,
            is_admin,
            company_id: None,
            companies: vec![],
            assigned: vec![],
        };
        let role = |is_user, is_admin| {
            User::of(entitlement(is_user, is_admin), Arc::default()).map(|user| user.role)
        };
        assert_eq!(role(false, false), None);
        assert_eq!(role(true, false), Some(Role::User));
        assert_eq!(role(true, true), Some(Role::Administrator));
    }
}
