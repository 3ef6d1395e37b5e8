//! The integer ids of new users, chats and events: chosen by the host application, or the next free ones.
//! Does not assign them: the store does.

use crate::model::{ChatPk, Error, EventPk, MAX_CHAT_PK, MAX_ID, NewPk, UserPk};

/// From which number on chats begin at the latest: theirs end soon after [`MAX_CHAT_PK`].
const LAST_FIRST_CHAT: ChatPk = 90_000_000;

/// The options of integer ids.
#[derive(Debug, Clone, Copy)]
pub struct Numbering {
    /// Those that the server gives out are this one and greater ones.
    pub from: i64,
    /// Whether an external user id that is a positive integer is its user's integer id.
    pub external_ids: bool,
}

impl Default for Numbering {
    fn default() -> Self {
        let (from, external_ids) = (1, false);
        Self { from, external_ids }
    }
}

impl Numbering {
    /// That of a new user of this external id.
    ///
    /// # Errors
    /// `Invalid`: no integer id, or not that of the external id.
    pub(super) fn user(self, external_id: &str, chosen: Option<UserPk>) -> Result<NewPk, Error> {
        let field = "user.pk";
        let chosen = chosen.map(|pk| within(field, pk, MAX_ID)).transpose()?;
        let external = Some(external_id)
            .filter(|_| self.external_ids)
            .and_then(number);
        match (chosen, external) {
            (Some(pk), Some(other)) if pk != other => Err(Error::invalid(
                field,
                "is another number than the external user id",
            )),
            (pk, other) => Ok(pk.or(other).map_or(self.next(), NewPk::Chosen)),
        }
    }

    /// That of a new user of this external id whose token has this claim, which decides last.
    pub(super) fn claimed(self, external_id: &str, claim: Option<UserPk>) -> NewPk {
        match self.user(external_id, None) {
            Ok(NewPk::NextFrom(from)) => claim.map_or(NewPk::NextFrom(from), NewPk::Chosen),
            Ok(pk) => pk,
            Err(_) => self.next(),
        }
    }

    /// That of a new chat.
    ///
    /// # Errors
    /// `Invalid`: no integer id of a chat.
    pub(super) fn chat(self, chosen: Option<ChatPk>) -> Result<NewPk, Error> {
        match chosen {
            Some(pk) => within("pk", pk, MAX_CHAT_PK).map(NewPk::Chosen),
            None => Ok(NewPk::NextFrom(self.first_chat())),
        }
    }

    /// From which number on chats are numbered.
    pub(super) fn first_chat(self) -> ChatPk {
        self.from.min(LAST_FIRST_CHAT)
    }

    /// That of a new event.
    ///
    /// # Errors
    /// `Invalid`: no integer id.
    pub(super) fn event(self, chosen: Option<EventPk>) -> Result<NewPk, Error> {
        match chosen {
            Some(pk) => within("id", pk, MAX_ID).map(NewPk::Chosen),
            None => Ok(self.next()),
        }
    }

    const fn next(self) -> NewPk {
        NewPk::NextFrom(self.from)
    }
}

fn within(field: &str, pk: i64, most: i64) -> Result<i64, Error> {
    if (1..=most).contains(&pk) {
        return Ok(pk);
    }
    let why = format!("is not a whole number from 1 to {most}");
    Err(Error::invalid(field, &why))
}

/// The positive integer that this text is, without leading zeros.
fn number(text: &str) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.starts_with('0') {
        return None;
    }
    text.parse().ok().filter(|pk| *pk <= MAX_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ErrorKind;

    #[test]
    fn an_external_id_that_is_a_number_is_the_integer_id() {
        let numbering = Numbering {
            from: 1000,
            external_ids: true,
        };
        let cases = [
            ("14", Some(14)),
            ("9007199254740991", Some(MAX_ID)),
            ("9007199254740992", None),
            ("99999999999999999999", None),
            ("014", None),
            ("0", None),
            ("-1", None),
            ("+1", None),
            ("1.0", None),
            (" 14", None),
            ("anna", None),
        ];
        for (external_id, pk) in cases {
            let expected = pk.map_or(NewPk::NextFrom(1000), NewPk::Chosen);
            let given = numbering.user(external_id, None).expect("a number");
            assert_eq!(given, expected, "{external_id}");
            let off = Numbering::default().user(external_id, None);
            assert_eq!(off.expect("a number"), NewPk::NextFrom(1));
        }
        let other = numbering.user("14", Some(15)).expect_err("two numbers");
        assert_eq!(other.kind, ErrorKind::Invalid);
        let same = numbering.user("14", Some(14)).expect("one number");
        assert_eq!(same, NewPk::Chosen(14));
    }

    #[test]
    fn a_chosen_number_has_limits() {
        let numbering = Numbering::default();
        for pk in [i64::MIN, -1, 0, MAX_ID + 1, i64::MAX] {
            assert!(numbering.user("anna", Some(pk)).is_err(), "{pk}");
            assert!(numbering.event(Some(pk)).is_err(), "{pk}");
            assert!(numbering.chat(Some(pk)).is_err(), "{pk}");
        }
        assert!(numbering.user("anna", Some(MAX_ID)).is_ok());
        assert!(numbering.chat(Some(MAX_CHAT_PK)).is_ok());
        assert!(numbering.chat(Some(MAX_CHAT_PK + 1)).is_err());
    }
}
