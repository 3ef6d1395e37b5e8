//! Users as this dialect shows them.
//! Does not know the frames around them.

use std::sync::Arc;

use serde::Serialize;

use crate::model::{User, UserPk};

/// A user.
#[derive(Serialize)]
pub(super) struct UserBody<'a> {
    id: UserPk,
    username: &'a str,
    avatar: &'a str,
    github: &'a str,
}

impl<'a> UserBody<'a> {
    pub(super) fn of(user: &'a User) -> Self {
        Self {
            id: user.pk,
            username: &user.username,
            avatar: &user.avatar,
            github: &user.github,
        }
    }
}

/// The users of a list.
pub(super) fn users(users: &[Arc<User>]) -> Vec<UserBody<'_>> {
    users.iter().map(|user| UserBody::of(user)).collect()
}

/// The user of the connection, as `whoami` has it.
#[derive(Serialize)]
pub(super) struct Me<'a> {
    #[serde(flatten)]
    user: UserBody<'a>,
    #[serde(rename = "externalUserId")]
    external_user_id: &'a str,
}

impl<'a> Me<'a> {
    pub(super) fn of(user: &'a User) -> Self {
        Self {
            user: UserBody::of(user),
            external_user_id: &user.external_id,
        }
    }
}
