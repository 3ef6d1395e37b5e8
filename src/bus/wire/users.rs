//! Users and connections as documents on the wire. What is carried is taken apart field by field, here and beside:
//! a new field of the model does not compile until it is carried, which takes a new version, or left out.
//! Does not know what a notice carries of them.

use std::sync::Arc;

use mongodb::bson::raw::cstr;
use mongodb::bson::{RawBsonRef, RawDocumentBuf};

use super::UnknownContent;
use super::fields::{Fields, Value, date, uuid};
use crate::model::{Origin, User};

/// A user as a document.
pub(super) fn user(user: &User) -> RawDocumentBuf {
    let User {
        id,
        pk,
        external_id,
        username,
        name,
        avatar,
        github,
        image_uuid,
        created_at,
        modified_at,
        revoked_before,
    } = user;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("id"), uuid(id.as_bytes()));
    fields.append(cstr!("pk"), *pk);
    fields.append(cstr!("ext"), &**external_id);
    fields.append(cstr!("username"), &**username);
    fields.append(cstr!("name"), &**name);
    fields.append(cstr!("avatar"), &**avatar);
    fields.append(cstr!("github"), &**github);
    if let Some(image) = image_uuid {
        fields.append(cstr!("image"), &**image);
    }
    fields.append(cstr!("created"), date(*created_at));
    fields.append(cstr!("modified"), date(*modified_at));
    if let Some(before) = *revoked_before {
        fields.append(cstr!("revoked"), date(before));
    }
    fields
}

impl<'a> Value<'a> for Arc<User> {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        let fields = Fields::of(value)?;
        Ok(Self::new(User {
            id: fields.get("id")?,
            pk: fields.get("pk")?,
            external_id: fields.get("ext")?,
            username: fields.get("username")?,
            name: fields.get("name")?,
            avatar: fields.get("avatar")?,
            github: fields.get("github")?,
            image_uuid: fields.find("image")?,
            created_at: fields.get("created")?,
            modified_at: fields.get("modified")?,
            revoked_before: fields.find("revoked")?,
        }))
    }
}

/// Where a request came from, as a document.
pub(super) fn origin(origin: Origin) -> RawDocumentBuf {
    let Origin {
        connection,
        request,
    } = origin;
    let mut fields = RawDocumentBuf::new();
    fields.append(cstr!("c"), uuid(connection.as_bytes()));
    if let Some(request) = request {
        fields.append(cstr!("r"), request.cast_signed());
    }
    fields
}

impl<'a> Value<'a> for Origin {
    fn of(value: RawBsonRef<'a>) -> Result<Self, UnknownContent> {
        let fields = Fields::of(value)?;
        Ok(Self {
            connection: fields.get("c")?,
            request: fields.find("r")?.map(i64::cast_unsigned),
        })
    }
}
