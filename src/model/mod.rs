//! The types that every other module uses: nouns, [`Command`], [`Reply`], [`Notice`],
//! [`Error`]. Plain data: does not know any transport, store or clock.

mod audit;
#[cfg(any(test, fuzzing))]
mod builders;
mod chat;
mod clock;
mod command;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod id;
mod idempotency;
mod identity;
mod import;
mod message;
mod metadata;
mod notice;
mod page_budget;
mod pair;
mod read;
mod reply;
mod sanction;
mod user;
mod work;

pub use audit::{AuditAct, AuditFilter, AuditPage, AuditRecord};
pub use chat::{
    Chat, ChatChange, ChatChoice, ChatCursor, ChatList, ChatMark, ChatPage, ChatRef, Joined,
    MemberLimits, NewChat, Policy, Room, RoomPage, VisibleCursor, VisiblePage,
};
pub use clock::Clock;
pub use command::Command;
pub use error::{Error, ErrorKind};
pub use event::{
    Access, Event, EventChange, EventChat, EventChatSnapshot, EventChatState, EventDetails,
    EventPage, Marketplace, NewEvent, NewEventChat, Side, Updated,
};
pub use id::{
    AuditId, ChatId, ChatPk, ConnectionId, EventPk, MAX_CHAT_PK, MAX_ID, MembersVersion, MessageId,
    NewPk, NodeId, Seq, UserId, UserPk,
};
pub use idempotency::{Fingerprint, IdempotencyKey};
pub use identity::{Caller, Identity, Issue, Origin, RequestNumber, Rights, Role};
pub use import::{
    ImportRecord, ImportRefusal, Imported, ImportedChat, ImportedEvent, ImportedEventPart,
    ImportedMember, ImportedMessage, ImportedNames, ImportedNumbers, ImportedRead, ImportedUser,
    ReadUpTo,
};
pub use message::{
    Draft, History, KnownId, KnownUpTo, Message, MessagePage, Missed, PendingMessage, Range, Sent,
    Window, weight,
};
pub use metadata::Metadata;
pub use notice::{Fact, ListedMembers, Membership, Notice, RoleChange, SanctionChange};
pub use page_budget::PageBudget;
pub use pair::{pair, unpair};
pub use read::{MarkedRead, Positions, Reads};
pub use reply::Reply;
pub use sanction::{Ban, ChatRights, MemberRights, MemberRole, Sanction, SanctionTerm};
pub use user::{NewUser, Profile, User, UserPage, UserRef};
