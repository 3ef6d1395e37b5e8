//! Executes commands, through [`Service::execute`] only: checks rights, writes to the store,
//! publishes on the bus, in this order.
//! Does not know gateways, dialects, the hub, nor the kind of its store and bus.

mod access;
mod append;
mod audit;
mod chats;
mod committer;
mod events;
mod heads;
mod history_cache;
mod import;
mod in_flight;
#[cfg(test)]
mod lease_tests;
mod limits;
mod marketplace;
mod member_lists;
mod members;
mod memberships;
mod messages;
mod moderation;
mod named;
mod newcomers;
mod numbering;
mod origins;
mod recent;
mod remote;
mod revocation;
mod rooms;
mod serving;
mod settlement;
mod sweeper;
mod sync;
mod trust;
mod user_cache;
mod users;
mod visible;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use parking_lot::Mutex;
use tokio::sync::RwLock;
use tracing::error;

pub use access::no_chat;
pub use committer::Committer;
pub use import::check as check_import;
pub use in_flight::InFlight;
pub use numbering::Numbering;
pub use remote::Remote;
pub use revocation::Revocations;
pub use users::Newcomer;

use crate::bus::Bus;
use crate::model::{AuditId, Clock, Command, Error, ErrorKind, Fact, Identity, MessageId, Reply};
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// The limits of sizes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A message's text, in bytes.
    pub message_bytes: usize,
    /// The members of one chat.
    pub members: usize,
    /// The chats that one user is a member of, or owns; `None`: any number.
    pub chats: Option<usize>,
}

/// Executes every request of a client: a [`Command`], passed to [`Service::execute`].
pub struct Service {
    store: Arc<dyn Store>,
    clock: Clock,
    limits: Limits,
    numbering: Numbering,
    trust: trust::Trust,
    memberships: Arc<memberships::Memberships>,
    member_lists: Arc<member_lists::MemberLists>,
    sweeper: Arc<sweeper::Sweeper>,
    settlement: Arc<settlement::Settlement>,
    numbers: chats::Numbers,
    user_cache: Arc<user_cache::UserCache>,
    heads: Arc<heads::Heads>,
    history_cache: history_cache::HistoryCache,
    /// Held for reading while the chat of an event is created and published, for writing by a
    /// request that waits for that.
    opening: RwLock<()>,
    append: append::Append,
    origins: Arc<origins::Origins>,
    newcomers: newcomers::Newcomers,
    /// Counts the revocations of tokens.
    revocations: Arc<AtomicU64>,
    closed: AtomicBool,
    /// The id of the latest record of the audit log: they are in the order of the acts.
    latest_audit: Mutex<Option<AuditId>>,
}

impl Service {
    /// A service over this store and this bus, and the committer without which no message and no
    /// new user is ever stored: it has to be run.
    pub fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        limits: Limits,
        metrics: Metrics,
    ) -> (Self, Committer) {
        Self::with_cache(
            user_cache::UserCache::default(),
            store,
            bus,
            clock,
            limits,
            metrics,
        )
    }

    fn with_cache(
        user_cache: user_cache::UserCache,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        clock: Clock,
        limits: Limits,
        metrics: Metrics,
    ) -> (Self, Committer) {
        let trust = trust::Trust::in_bus(&bus);
        let heads = Arc::new(heads::Heads::with_trust(trust.clone()));
        let user_cache = Arc::new(user_cache.with_trust(trust.clone()));
        let memberships = Arc::new(memberships::Memberships::new(
            Arc::clone(&store),
            trust.clone(),
        ));
        let origins = Arc::<origins::Origins>::default();
        let (append, messages) = append::new(
            Arc::clone(&store),
            Arc::clone(&bus),
            Arc::clone(&heads),
            (Arc::clone(&memberships), Arc::clone(&origins)),
            metrics,
        );
        let member_lists = Arc::new(member_lists::MemberLists::new(
            Arc::clone(&store),
            Arc::clone(&bus),
            Arc::clone(&memberships),
        ));
        let sweeper = Arc::new(sweeper::Sweeper::new(Arc::clone(&store)));
        let settlement = Arc::new(settlement::Settlement::new(
            Arc::clone(&store),
            bus,
            Arc::clone(&memberships),
            Arc::clone(&user_cache),
            Arc::clone(&heads),
        ));
        let (known, settling) = (Arc::clone(&user_cache), Arc::clone(&settlement));
        let (newcomers, users) = newcomers::new(Arc::clone(&store), known, settling);
        let service = Self {
            history_cache: history_cache::HistoryCache::new(Arc::clone(&store)),
            store,
            clock,
            limits,
            numbering: Numbering::default(),
            trust: trust.clone(),
            memberships,
            member_lists: Arc::clone(&member_lists),
            sweeper: Arc::clone(&sweeper),
            settlement: Arc::clone(&settlement),
            numbers: chats::numbers(),
            user_cache,
            heads,
            opening: RwLock::default(),
            append,
            origins,
            newcomers,
            revocations: Arc::default(),
            closed: AtomicBool::new(false),
            latest_audit: Mutex::default(),
        };
        let committer = Committer {
            messages,
            users,
            member_lists,
            sweeper,
            settlement,
        };
        (service, committer)
    }

    /// The same service with other integer ids for what is created.
    #[must_use]
    pub fn with_numbering(self, numbering: Numbering) -> Self {
        Self { numbering, ..self }
    }

    /// Executes a command, if the caller has the right. The content of the reply is durable.
    ///
    /// # Errors
    /// Every kind; a token that is not valid has been refused by `auth` before. After
    /// `Unavailable` nothing was stored.
    pub async fn execute(&self, identity: &Identity, command: Command) -> Result<Reply, Error> {
        self.begin(identity, command).await.await
    }

    /// The first half of [`Service::execute`]: when it returns, the command has its place in the
    /// order, and the returned value is the other half. So a connection begins one command after
    /// another, and its messages keep their order while several of them wait for the same write.
    pub async fn begin(&self, identity: &Identity, command: Command) -> InFlight {
        if let Err(error) = self.serves().await {
            return InFlight::from(Err(error));
        }
        self.perform(identity, command).await
    }

    #[expect(clippy::too_many_lines, reason = "a table: an arm for each command")]
    async fn perform(&self, identity: &Identity, command: Command) -> InFlight {
        use Command as C;
        let reply = match command {
            C::SendMessage { user, chat, draft } => {
                match self.send_message(identity, user, chat, draft).await {
                    Ok(stored) => return InFlight::Storing(stored),
                    Err(error) => Err(error),
                }
            }
            C::CreateUser {
                external_id,
                pk,
                profile,
            } => self.create_user(identity, external_id, pk, profile).await,
            C::GetUser { user } => self.get_user(identity, user).await,
            C::GetProfile { user } => self.get_profile(identity, user).await,
            C::WhoAmI => self.who_am_i(identity).await,
            C::UpdateUser { user, profile } => self.update_user(identity, user, profile).await,
            C::ListUsers { after, limit } => self.list_users(identity, after, limit).await,
            C::CreateChat {
                name,
                members,
                key,
                chosen,
            } => {
                let creation = self.create_chat(identity, name, members, key, chosen);
                creation.await
            }
            C::CreateRoom { name, team } => self.create_room(identity, name, team).await,
            C::ListChats {
                user,
                limit,
                before,
            } => self.list_chats(identity, user, limit, before).await,
            C::ListAllChats { after, limit } => self.list_all_chats(identity, after, limit).await,
            C::ListMyRooms { limit, before } => self.list_my_rooms(identity, limit, before).await,
            C::ListRooms { limit, before } => self.list_rooms(identity, limit, before).await,
            C::GetRoom { chat, messages } => self.get_room(identity, chat, messages).await,
            C::ChangeChat { chat, change } => self.change_chat(identity, chat, change).await,
            C::DeleteChat { chat } => self.delete_chat(identity, chat).await,
            C::JoinChat { chat, read } => self.join_chat(identity, chat, read).await,
            C::LeaveChat { chat } => self.leave_chat(identity, chat).await,
            C::AddMembers { chat, users } => self.add_members(identity, chat, users).await,
            C::RemoveMember { chat, user } => self.remove_member(identity, chat, user).await,
            C::ListMembers { chat } => self.list_members(identity, chat).await,
            C::SetRole { chat, user, role } => self.set_role(identity, chat, user, role).await,
            C::MuteUser { chat, user, term } => self.mute_user(identity, chat, user, term).await,
            C::BanUser { chat, user, term } => self.ban_user(identity, chat, user, term).await,
            C::ListBans { chat } => self.list_bans(identity, chat).await,
            C::Disconnect { user } => self.disconnect(identity, user).await,
            C::RevokeTokens { user, before } => self.revoke_tokens(identity, user, before).await,
            C::RecordToken {
                external_id,
                expires_at,
            } => self.record_token(identity, external_id, expires_at).await,
            C::ListAudit {
                filter,
                after,
                limit,
            } => self.list_audit(identity, filter, after, limit).await,
            C::ListMessages {
                user,
                chat,
                history,
                positions,
            } => {
                let page = self.list_messages(identity, user, chat, history, positions);
                page.await
            }
            C::Sync {
                user,
                chats,
                until,
                budget,
            } => self.sync(identity, user, chats, &until, budget).await,
            C::MarkRead { user, chat, seq } => self.mark_read(identity, user, chat, seq).await,
            C::CreateEvent {
                pk,
                owner,
                details,
                key,
            } => self.create_event(identity, pk, owner, details, key).await,
            C::GetEvent { event } => self.get_event(identity, event).await,
            C::ChangeEvent { event, change } => self.change_event(identity, event, change).await,
            C::DeleteEvent { event } => self.delete_event(identity, event).await,
            C::ListEvents {
                owner,
                after,
                limit,
            } => self.list_events(identity, owner, after, limit).await,
            C::OpenEventChat {
                user,
                event,
                chosen,
            } => self.open_event_chat(identity, user, event, chosen).await,
            C::RequestAccess { user, event, draft } => {
                self.request_access(identity, user, event, draft).await
            }
            C::GrantAccess { chat, access } => self.grant_access(identity, chat, access).await,
            C::Import(records) => self.import(identity, records).await,
            C::EnterMarketplace => self.enter_marketplace(identity).await,
        };
        InFlight::from(reply)
    }

    /// Whether the caller may use the API of the host application's backend.
    ///
    /// # Errors
    /// `Forbidden`: a user's token.
    #[expect(clippy::unused_self, reason = "what the door answers, not how")]
    pub fn host(&self, identity: &Identity) -> Result<(), Error> {
        access::host(identity)
    }

    /// Publishes to every node. The store has the change already: a failure here delays others, it
    /// loses nothing.
    async fn publish(&self, identity: &Identity, fact: Fact) {
        self.settlement.publish(identity.origin(), fact).await;
    }
}

/// Converts an error of the store to one for the client. Logged here, since the client gets no
/// details.
fn store_error(error: StoreError) -> Error {
    match error {
        StoreError::Unavailable(_) => {
            error!(%error, "the store failed");
            Error::unavailable("the store does not answer, nothing was stored; try again")
                .because(error)
        }
        StoreError::PkTaken => Error::new(ErrorKind::Conflict, "pk: another one has this number"),
        StoreError::Duplicate | StoreError::Full(_) | StoreError::Corrupt(_) => internal(error),
    }
}

/// A request under the name of another one.
fn other_content() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "another request has used this Idempotency-Key",
    )
}

/// A bug: the client gets an id that stands in the log beside the cause.
fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    // An unused message id: unique, and sorted by time like the log.
    #[expect(clippy::disallowed_methods, reason = "it only names a line of the log")]
    let incident = MessageId::new(jiff::Timestamp::now());
    error!(%incident, %error, "internal error");
    Error::new(ErrorKind::Internal, format!("incident {incident}")).because(error)
}
