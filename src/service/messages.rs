//! Sending messages and reading history.
//! Does not number or write messages: `append` does.

use futures_util::future::try_join;
use tokio::sync::oneshot;

use super::append::SendRequest;
use super::{Limits, Service, access, store_error};
use crate::model::{
    ChatRef, Draft, Error, History, Identity, MessageId, Metadata, PendingMessage, Positions,
    Reads, Reply, Sent, UserRef,
};

/// How many messages of history one answer holds at most.
const PAGE: usize = 10_000;

/// The longest `client_id`, in characters.
const CLIENT_ID_CHARS: usize = 64;

/// The most photos of one message.
const PHOTOS: usize = 20;

/// The longest id of a photo, in bytes.
const PHOTO_BYTES: usize = 256;

/// The longest kind of a message, in characters.
const KIND_CHARS: usize = 32;

impl Service {
    /// Checks a message and queues it for the store.
    pub(super) async fn send_message(
        &self,
        identity: &Identity,
        named: Option<UserRef>,
        chat: ChatRef,
        draft: Draft,
    ) -> Result<oneshot::Receiver<Result<Sent, Error>>, Error> {
        check(&draft, self.limits)?;
        let named = self.named_user(named).await?;
        let actor = access::actor(identity, named)?;
        let sender = access::user(identity, named)?;
        let members = self.visible(actor, &chat).await?;
        let at = self.clock.now();
        access::may_post(actor, sender, &members, at)?;
        let request = SendRequest { actor, chat };
        let chat = members.chat();
        let entry = PendingMessage {
            id: MessageId::new(at),
            chat,
            sender,
            origin: identity.origin(),
            draft,
            at,
        };
        self.append.enqueue(entry, Some(request)).await
    }

    pub(super) async fn list_messages(
        &self,
        identity: &Identity,
        named: Option<UserRef>,
        chat: ChatRef,
        history: History,
        positions: Positions,
    ) -> Result<Reply, Error> {
        let named = self.named_user(named).await?;
        let actor = access::actor(identity, named)?;
        let history = History {
            window: history.window.at_most(PAGE),
            ..history
        };
        let read = async |chat| {
            let reads = async {
                match positions {
                    Positions::Included => self.store.reads(chat).await,
                    Positions::Omitted => Ok(Reads::default()),
                }
            };
            let both = try_join(self.store.messages(chat, history), reads).await;
            both.map_err(store_error)
        };
        let (page, reads) = self.judged(actor, &chat, read).await?;
        Ok(Reply::Messages(page, reads))
    }
}

/// Checks the content of a message.
///
/// # Errors
/// `Invalid`, `TooLarge`.
pub(super) fn check(draft: &Draft, limits: Limits) -> Result<(), Error> {
    check_photos(&draft.photos)?;
    if draft.text.trim().is_empty() && draft.photos.is_empty() {
        return Err(Error::invalid("msg", "is empty"));
    }
    if draft.text.len() > limits.message_bytes {
        let limit = format_args!("{} bytes", limits.message_bytes);
        return Err(Error::too_large("msg", limit));
    }
    let metadata = draft.metadata.as_ref().map_or(0, |it| it.json().len());
    if metadata > Metadata::BYTES {
        let limit = format_args!("{} bytes", Metadata::BYTES);
        return Err(Error::too_large("metadata", limit));
    }
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-');
    if !(1..=KIND_CHARS).contains(&draft.kind.len()) || !draft.kind.bytes().all(allowed) {
        return Err(Error::invalid(
            "type",
            "write 1 to 32 characters of a-z 0-9 _ -",
        ));
    }
    match &draft.client_id {
        Some(id) if !(1..=CLIENT_ID_CHARS).contains(&id.chars().count()) => {
            Err(Error::invalid("client_id", "write 1 to 64 characters"))
        }
        _ => Ok(()),
    }
}

fn check_photos(photos: &[String]) -> Result<(), Error> {
    if photos.len() > PHOTOS {
        return Err(Error::too_large("photos", format_args!("{PHOTOS} of them")));
    }
    for photo in photos {
        if photo.trim().is_empty() {
            return Err(Error::invalid("photos", "one of them is empty"));
        }
        if photo.len() > PHOTO_BYTES {
            let limit = format_args!("{PHOTO_BYTES} bytes each");
            return Err(Error::too_large("photos", limit));
        }
    }
    Ok(())
}
