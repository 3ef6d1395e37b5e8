//! The calls about rights, and the rights and the audit log that both stores hold.
//! Does not choose the calls.

use super::acts::{Act, Lift};
use super::{StoredIds, both, comparable};
use crate::model::{AuditAct, AuditFilter, AuditId, AuditRecord, ChatId, Sanction, UserId};
use crate::store::Store;
use crate::store::contract::{Subject, at};

/// A record of an act, the same for both stores. Its act and its actor depend on the time.
pub(super) fn record(now: i64, chat: Option<ChatId>, user: Option<UserId>) -> AuditRecord {
    let kinds = AuditAct::ALL.len();
    let kind = usize::try_from(now).unwrap_or(0);
    AuditRecord {
        id: AuditId::new(at(now)),
        at: at(now),
        actor: user.filter(|_| now % 2 == 0),
        act: AuditAct::ALL[kind % kinds],
        chat,
        user,
        detail: [("now".into(), now.into())].into_iter().collect(),
    }
}

fn sanction(until: Lift) -> Option<Sanction> {
    until.map(|until| Sanction {
        until: until.map(at),
    })
}

pub(super) async fn answers_about_rights(
    stores: &(Subject, Subject),
    act: Act,
    ids: &StoredIds,
) -> (String, String) {
    match act {
        Act::Role { chat, user, role } => {
            let (chat, user) = (ids.chat(chat), ids.user(user));
            let audit = Some(record(1, Some(chat), Some(user)));
            both!(stores, store => store.set_role(chat, user, role, audit.clone()))
        }
        Act::Mute { chat, user, until } => {
            let (chat, user) = (ids.chat(chat), ids.user(user));
            let audit = Some(record(2, Some(chat), Some(user)));
            both!(stores, store => store.set_mute(chat, user, sanction(until), audit.clone()))
        }
        // The two of an event's chat stay in it.
        Act::Ban { chat, .. } if ids.event_chats.contains(&ids.chat(chat)) => Default::default(),
        Act::Ban {
            chat,
            user,
            until,
            now,
        } => {
            let (chat, user, ban) = (ids.chat(chat), ids.user(user), sanction(until));
            let audit = Some(record(now, Some(chat), Some(user)));
            both!(stores, store => store.set_ban(chat, user, ban, at(now), audit.clone()))
        }
        Act::Revoke { user, before } => {
            let user = ids.user(user);
            let audit = Some(record(before, None, Some(user)));
            both!(stores, store => store.revoke_tokens(user, at(before), audit.clone()))
        }
        Act::Decide {
            chat,
            from,
            to,
            now,
        } => {
            let chat = ids.chat(chat);
            let audit = Some(record(now, Some(chat), None));
            both!(stores, store => {
                store.change_access(chat, &from, to, at(now), audit.clone())
            })
        }
        other => panic!("{other:?} is not about rights"),
    }
}

/// The rights in every chat, and the audit log.
pub(super) async fn rights(store: &dyn Store, ids: &StoredIds) -> Vec<String> {
    let all = AuditFilter::default();
    let mut rights = vec![
        comparable(store.audit_records(all, None, 999).await),
        comparable(store.latest_audit().await),
    ];
    for chat in &ids.chats {
        let of_chat = AuditFilter {
            chat: Some(*chat),
            user: Some(ids.user(1)),
        };
        let records = store.audit_records(of_chat, None, 3).await;
        let last = records.as_ref().ok().and_then(|records| records.last());
        let last = last.map(|record| record.id);
        rights.extend([
            comparable(store.chat_rights(*chat).await),
            comparable(records),
            comparable(store.audit_records(of_chat, last, 3).await),
        ]);
    }
    rights
}
