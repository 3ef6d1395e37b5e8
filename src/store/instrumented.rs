//! A decorator that records metrics of every call to a store, and lets none succeed while the lease
//! that this process has taken may have lapsed.
//! Does not change arguments, results or errors otherwise.

#[cfg(test)]
mod gate;

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::time::Instant;

use super::lease::{Holder, LeaseState, Leasing, Mode, Process};
use super::settling::Settling;
use super::sweep::Sweeping;
use super::transfer::{ChatRecord, EventRecord, Pks, Transfer, Unfinished};
use super::{
    Audit, BanOutcome, Chats, Events, Members, Messages, OpenError, Sanctions, Store, StoreError,
    Totals, Users,
};
use crate::model::{
    Access, AuditFilter, AuditId, AuditRecord, Chat, ChatChange, ChatCursor, ChatId, ChatMark,
    ChatPage, ChatPk, ChatRights, Event, EventChange, EventChat, EventPk, Fingerprint, History,
    MemberLimits, MemberRole, MembersVersion, Message, MessageId, MessagePage, NewChat, NewEvent,
    NewEventChat, NewUser, NodeId, PendingMessage, Profile, Reads, Sanction, Sent, Seq, User,
    UserId, UserPk, VisibleCursor, VisiblePage,
};
use crate::telemetry::Metrics;

#[cfg(test)]
use gate::Answer;
#[cfg(test)]
pub use gate::Gate;

/// Wraps `store`: each call is counted and timed in `metrics` under the name of its method.
pub fn instrumented(store: Arc<dyn Store>, metrics: Metrics) -> Arc<dyn Store> {
    Arc::new(Instrumented {
        store,
        metrics,
        #[cfg(test)]
        gate: Gate::default(),
    })
}

/// The same, with a gate that can hold answers back.
#[cfg(test)]
pub fn gated(store: Arc<dyn Store>, metrics: Metrics) -> (Arc<dyn Store>, Gate) {
    let gate = Gate::default();
    let gated = Instrumented {
        store,
        metrics,
        gate: gate.clone(),
    };
    (Arc::new(gated), gate)
}

struct Instrumented {
    store: Arc<dyn Store>,
    metrics: Metrics,
    #[cfg(test)]
    gate: Gate,
}

impl Instrumented {
    async fn call<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut timing = Timing {
            metrics: &self.metrics,
            operation,
            begun: Instant::now(),
            failure: Some("abandoned"),
        };
        #[cfg(test)]
        self.gate.linger(operation).await;
        let outcome = match self.store.check_lease() {
            Ok(()) => call.await,
            Err(lapsed) => Err(lapsed),
        };
        #[cfg(test)]
        let outcome = match self.gate.pass(operation).await {
            Answer::Passes => outcome,
            Answer::Lost => Err(StoreError::Unavailable("the answer was lost".into())),
        };
        // A process that was stopped while it waited must not continue as if no time had passed.
        let outcome = outcome.and_then(|answer| self.store.check_lease().map(|()| answer));
        timing.failure = outcome.as_ref().err().and_then(kind);
        outcome
    }
}

/// The kind of a failure; `None`: the call was refused by a limit, which is no failure.
const fn kind(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::Full(_) => None,
        StoreError::Duplicate | StoreError::PkTaken => Some("duplicate"),
        StoreError::Corrupt(_) => Some("corrupt"),
        StoreError::Unavailable(_) => Some("unavailable"),
    }
}

/// The name of a method in the metrics.
fn operation(method: &'static str) -> &'static str {
    method.trim_end_matches("_within")
}

/// The timer of one call. Records on drop, so that calls whose future is dropped before they
/// complete are counted, too.
struct Timing<'a> {
    metrics: &'a Metrics,
    operation: &'static str,
    begun: Instant,
    failure: Option<&'static str>,
}

impl Drop for Timing<'_> {
    fn drop(&mut self) {
        let time = self.begun.elapsed();
        self.metrics.store_called(self.operation, time);
        if let Some(kind) = self.failure {
            self.metrics.store_failed(self.operation, kind);
        }
    }
}

/// Implements a trait by delegation to the wrapped store: one line per method.
macro_rules! instrumented {
    ($nouns:ident: $(
        $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;
    )+) => {
        #[async_trait]
        impl $nouns for Instrumented {
            $(
                async fn $method(&self, $($argument: $type),*) -> Result<$answer, StoreError> {
                    let call = self.store.$method($($argument),*);
                    self.call(operation(stringify!($method)), call).await
                }
            )+
        }
    };
}

#[async_trait]
impl Store for Instrumented {
    async fn is_current(&self) -> Result<bool, OpenError> {
        self.store.is_current().await
    }

    async fn migrate(&self, unfinished: Unfinished) -> Result<(), OpenError> {
        self.store.migrate(unfinished).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call("ping", self.store.ping()).await
    }

    async fn missing_indexes(&self) -> Result<Vec<String>, StoreError> {
        self.store.missing_indexes().await
    }

    async fn totals(&self) -> Result<Totals, StoreError> {
        self.store.totals().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.store.close().await
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

#[async_trait]
impl Leasing for Instrumented {
    fn node(&self) -> NodeId {
        self.store.node()
    }

    async fn take_lease(&self, process: &Process, mode: Mode) -> Result<LeaseState, StoreError> {
        self.store.take_lease(process, mode).await
    }

    async fn renew_lease(&self) -> Result<LeaseState, StoreError> {
        self.store.renew_lease().await
    }

    async fn release_lease(&self) -> Result<(), StoreError> {
        self.store.release_lease().await
    }

    async fn lease_holders(&self) -> Result<Vec<Holder>, StoreError> {
        self.store.lease_holders().await
    }

    fn check_lease(&self) -> Result<(), StoreError> {
        self.store.check_lease()
    }

    async fn await_lease(&self) -> Result<(), StoreError> {
        self.store.await_lease().await
    }
}

#[async_trait]
impl Settling for Instrumented {
    async fn settled(&self) {
        self.store.settled().await;
    }
}

instrumented! {
    Users:
    find_or_create_users(users: Vec<NewUser>) -> Vec<User>;
    user_by_external_id(external_id: &str) -> Option<User>;
    user(id: UserId) -> Option<User>;
    user_by_pk(pk: UserPk) -> Option<User>;
    update_user(id: UserId, profile: Profile, at: Timestamp, audit: Option<AuditRecord>) -> Option<User>;
    revoke_tokens(id: UserId, before: Timestamp, audit: Option<AuditRecord>) -> Option<(bool, User)>;
    users_after(after: UserPk, limit: usize) -> Vec<User>;
    users(ids: &[UserId]) -> Vec<Arc<User>>;
    unknown_users(ids: &[UserId]) -> Vec<UserId>;
}

instrumented! {
    Chats:
    create_chat_within(chat: NewChat, limits: MemberLimits) -> Chat;
    chats_by_external_id(names: &[Arc<str>]) -> Vec<Option<ChatId>>;
    chat_by_key(name: &str) -> Option<(Chat, Fingerprint)>;
    chat(id: ChatId) -> Option<Chat>;
    chat_id(pk: ChatPk) -> Option<ChatId>;
    chat_ids(pks: &[ChatPk]) -> Vec<Option<ChatId>>;
    chats_after(after: ChatPk, limit: usize) -> Vec<Chat>;
    visible_chats(user: UserId, at: Timestamp, before: Option<VisibleCursor>, limit: usize) -> VisiblePage;
    change_chat(id: ChatId, change: ChatChange, at: Timestamp, audit: Option<AuditRecord>) -> Option<Chat>;
    delete_chat(id: ChatId, audit: Option<AuditRecord>) -> bool;
    chats_of(user: UserId, before: Option<ChatCursor>, limit: usize) -> ChatPage;
    memberships_of(user: UserId) -> Vec<(ChatId, MembersVersion)>;
    joined_at(chat: ChatId, users: &[UserId]) -> Vec<Option<Seq>>;
    members_version(chat: ChatId) -> Option<MembersVersion>;
    marks(chats: &[ChatId]) -> Vec<Option<ChatMark>>;
    users_in_many_chats(users: &[UserId], chats: usize) -> Vec<UserId>;
    heads(chats: &[ChatId]) -> Vec<Seq>;
}

instrumented! {
    Members:
    add_member_within(chat: ChatId, user: UserId, read: Seq, at: Timestamp, limits: MemberLimits, audit: Option<AuditRecord>) -> Option<(bool, Chat)>;
    remove_member(chat: ChatId, user: UserId, at: Timestamp, audit: Option<AuditRecord>) -> Option<(bool, Chat)>;
    advance_read(chat: ChatId, user: UserId, read: Seq) -> Option<bool>;
    reads(chat: ChatId) -> Reads;
}

instrumented! {
    Sanctions:
    chat_rights(chat: ChatId) -> Option<ChatRights>;
    is_visible(chat: ChatId, user: UserId) -> bool;
    rights_of(chats: &[ChatId]) -> Vec<Option<ChatRights>>;
    set_role(chat: ChatId, user: UserId, role: MemberRole, audit: Option<AuditRecord>) -> Option<(bool, Chat)>;
    set_mute(chat: ChatId, user: UserId, mute: Option<Sanction>, audit: Option<AuditRecord>) -> Option<(bool, Chat)>;
    set_ban(chat: ChatId, user: UserId, ban: Option<Sanction>, at: Timestamp, audit: Option<AuditRecord>) -> Option<BanOutcome>;
}

instrumented! {
    Audit:
    audit_records(filter: AuditFilter, after: Option<AuditId>, limit: usize) -> Vec<AuditRecord>;
    add_audit(record: AuditRecord) -> ();
}

instrumented! {
    Messages:
    append(batch: Vec<PendingMessage>) -> Vec<Option<Sent>>;
    messages(chat: ChatId, history: History) -> MessagePage;
}

instrumented! {
    Sweeping:
    sweep() -> bool;
}

instrumented! {
    Events:
    create_event(event: NewEvent) -> Event;
    event(pk: EventPk) -> Option<Event>;
    event_by_key(name: &str) -> Option<(Event, Fingerprint)>;
    events_after(owner: Option<UserId>, after: EventPk, limit: usize) -> Vec<Event>;
    change_event(pk: EventPk, change: EventChange, at: Timestamp, audit: Option<AuditRecord>) -> Option<Event>;
    delete_event(pk: EventPk, audit: Option<AuditRecord>) -> Option<Vec<(ChatId, ChatPk)>>;
    chats_of_event(pk: EventPk) -> Vec<(ChatId, ChatPk)>;
    open_event_chat_within(chat: NewEventChat, limits: MemberLimits) -> Option<(bool, EventChat)>;
    change_access(chat: ChatId, from: &[Access], to: Access, at: Timestamp, audit: Option<AuditRecord>) -> Option<(bool, EventChat)>;
    event_chat(chat: ChatId) -> Option<EventChat>;
    event_chats_of(user: UserId, limit: usize) -> Vec<EventChat>;
    latest_in(chat: &EventChat, limit: usize) -> Vec<Message>;
}

instrumented! {
    Transfer:
    begin_copy() -> ();
    is_unfinished() -> bool;
    finish_copy() -> ();
    greatest() -> Pks;
    counters() -> Pks;
    event_records(after: EventPk, limit: usize) -> Vec<EventRecord>;
    chat_records(after: ChatPk, limit: usize) -> Vec<ChatRecord>;
    take_counters(counters: Pks) -> ();
    take_users(users: Vec<User>) -> ();
    take_events(events: Vec<EventRecord>) -> ();
    take_chats(chats: Vec<ChatRecord>) -> ();
    take_messages(messages: Vec<Message>) -> ();
    imported(chat: ChatId, original_ids: Vec<String>) -> Vec<Option<(Seq, MessageId)>>;
    next_chat_pks(from: ChatPk, count: usize) -> Vec<ChatPk>;
    latest_audit() -> Option<AuditId>;
    take_audit(records: Vec<AuditRecord>) -> ();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store;

    async fn instrumented_store() -> (Arc<dyn Store>, Metrics) {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let metrics = Metrics::default();
        (instrumented(store, metrics.clone()), metrics)
    }

    fn assert_has(metrics: &Metrics, line: &str) {
        let text = metrics.text();
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }

    #[tokio::test]
    async fn every_call_is_counted_under_its_name() {
        let (store, metrics) = instrumented_store().await;
        for _ in 0..3 {
            store.user_by_pk(1).await.expect("an answer");
        }
        store.ping().await.expect("an answer");
        let count = |operation, count| {
            format!(r#"polychat_store_seconds_count{{operation="{operation}"}} {count}"#)
        };
        assert_has(&metrics, &count("user_by_pk", 3));
        assert_has(&metrics, &count("ping", 1));
        let failed = |line: &str| line.contains("store_errors_total{") && !line.ends_with(" 0");
        assert!(!metrics.text().lines().any(failed));
    }

    #[tokio::test]
    async fn failures_are_counted_by_their_kind() {
        let (store, metrics) = instrumented_store().await;
        store.close().await.expect("an end");
        assert!(store.user_by_pk(1).await.is_err());
        assert_has(
            &metrics,
            r#"polychat_store_errors_total{operation="user_by_pk",kind="unavailable"} 1"#,
        );
    }

    #[tokio::test]
    async fn a_call_that_is_given_up_is_counted_too() {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let metrics = Metrics::default();
        let (store, gate) = store::gated(store, metrics.clone());
        let _held = gate.hold("user_by_pk");
        let call = store.user_by_pk(1);
        // Dropped before it has an answer.
        assert!(futures_util::FutureExt::now_or_never(call).is_none());
        assert_has(
            &metrics,
            r#"polychat_store_errors_total{operation="user_by_pk",kind="abandoned"} 1"#,
        );
    }
}
