//! The promises of `Users`.
//! Does not know which store is under test.

use super::*;

pub async fn a_new_user_gets_the_next_pk_and_defaults(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    assert_eq!((anna.pk, boris.pk), (1, 2));
    assert_eq!((&*anna.username, &*anna.name), ("anna", "anna"));
    assert_eq!((anna.created_at, anna.modified_at), (at(0), at(0)));
    assert_eq!(store.user(anna.id).await.expect("an answer"), Some(anna));
}

pub async fn a_known_external_id_finds_the_same_user(store: Subject) {
    let first = user(&store, "anna").await;
    assert_eq!(user(&store, "anna").await, first);
}

pub async fn a_profile_is_taken_over_and_kept(store: Subject) {
    let first = user(&store, "anna").await;
    let update = NewUser {
        pk: crate::model::NewPk::default(),
        id: UserId::new(at(5)),
        external_id: "anna".into(),
        profile: Profile {
            name: Some("Анна".into()),
            image_uuid: Some("picture".into()),
            ..Profile::default()
        },
        at: at(5),
        audit: None,
    };
    let updated = store.find_or_create_user(update).await.expect("a user");
    assert_eq!(updated.id, first.id);
    assert_eq!((&*updated.name, &*updated.username), ("Анна", "anna"));
    assert_eq!((updated.created_at, updated.modified_at), (at(0), at(5)));
    assert_eq!(user(&store, "anna").await, updated);
}

pub async fn two_calls_at_once_make_one_user(store: Subject) {
    let (one, other) = tokio::join!(user(&store, "anna"), user(&store, "anna"));
    assert_eq!(one, other);
}

pub async fn many_users_are_found_or_created_in_the_order_given(store: Subject) {
    let anna = user(&store, "anna").await;
    let new = |external_id: &str, name: Option<&str>, millisecond| NewUser {
        pk: crate::model::NewPk::default(),
        id: UserId::new(at(millisecond)),
        external_id: external_id.into(),
        profile: Profile {
            name: name.map(Into::into),
            ..Profile::default()
        },
        at: at(millisecond),
        audit: None,
    };
    let requested = vec![
        new("boris", None, 1),
        new("anna", None, 2),
        new("vera", Some("Vera"), 3),
        new("boris", Some("Boris"), 4),
        new("anna", Some("Anna"), 5),
    ];
    let ids: Vec<_> = requested.iter().map(|user| user.id).collect();
    let found = store.find_or_create_users(requested).await.expect("users");
    let actual = found.iter().map(|user| (user.id, user.pk, &*user.name));
    let expected = [
        (ids[0], 2, "boris"),
        (anna.id, 1, "anna"),
        (ids[2], 3, "Vera"),
        (ids[0], 2, "Boris"),
        (anna.id, 1, "Anna"),
    ];
    assert_eq!(actual.collect::<Vec<_>>(), expected);
    assert_eq!((found[3].created_at, found[3].modified_at), (at(1), at(4)));
    for user in &found[2..] {
        let stored = store.user(user.id).await.expect("an answer");
        assert_eq!(stored.as_ref(), Some(user));
    }
    let nobody = store.find_or_create_users(Vec::new()).await;
    assert_eq!(nobody.expect("an answer"), []);
}

pub async fn calls_at_once_with_some_users_in_common_make_each_once(store: Subject) {
    let new = |names: [&str; 3]| {
        let new = |name: &str| NewUser {
            pk: crate::model::NewPk::default(),
            id: UserId::new(at(0)),
            external_id: name.into(),
            profile: Profile::default(),
            at: at(0),
            audit: None,
        };
        store.find_or_create_users(names.into_iter().map(new).collect())
    };
    let (one, other, third) = tokio::join!(
        new(["anna", "boris", "vera"]),
        new(["vera", "gleb", "anna"]),
        new(["boris", "dina", "gleb"]),
    );
    let (one, other, third) = (
        one.expect("users"),
        other.expect("users"),
        third.expect("users"),
    );
    assert_eq!((&one[0], &one[2]), (&other[2], &other[0]));
    assert_eq!((&third[0], &third[2]), (&one[1], &other[1]));
    let mut pks: Vec<_> = store.users_after(0, 10).await.expect("users");
    pks.sort_by_key(|user| user.pk);
    assert_eq!(
        pks.iter().map(|user| user.pk).collect::<Vec<_>>(),
        [1, 2, 3, 4, 5]
    );
}

pub async fn a_user_is_found_by_its_external_id(store: Subject) {
    let anna = user(&store, "anna").await;
    let found = store.user_by_external_id("anna").await;
    assert_eq!(found.expect("an answer"), Some(anna));
    let found = store.user_by_external_id("Anna").await;
    assert_eq!(found.expect("an answer"), None);
}

pub async fn an_unknown_user_is_none(store: Subject) {
    let found = store.user(UserId::new(at(0))).await.expect("an answer");
    assert_eq!(found, None);
}

pub async fn those_who_are_no_users_are_notified_in_order(store: Subject) {
    let anna = user(&store, "anna").await;
    let (one, two) = (UserId::new(at(1)), UserId::new(at(2)));
    let unknown = store.unknown_users(&[two, anna.id, one]).await;
    assert_eq!(unknown.expect("an answer"), [two, one]);
}

pub async fn users_come_in_the_order_asked_for_without_the_unknown(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let ids = [boris.id, UserId::new(at(9)), anna.id];
    let found = store.users(&ids).await.expect("users");
    assert_eq!(found, [Arc::new(boris), Arc::new(anna)]);
}

pub async fn a_user_is_found_by_its_pk(store: Subject) {
    let anna = user(&store, "anna").await;
    let found = store.user_by_pk(anna.pk).await.expect("an answer");
    assert_eq!(found, Some(anna.clone()));
    for nobody in [0, -1, anna.pk + 1, i64::MAX] {
        let found = store.user_by_pk(nobody).await.expect("an answer");
        assert_eq!(found, None, "{nobody}");
    }
}

pub async fn an_update_changes_what_it_names(store: Subject) {
    let anna = user(&store, "anna").await;
    let profile = Profile {
        name: Some("Anna".into()),
        ..Profile::default()
    };
    for now in [7, 9] {
        let updated = store
            .update_user(anna.id, profile.clone(), at(now), None)
            .await;
        let updated = updated.expect("an answer").expect("a user");
        // The second time nothing changes any more.
        let expected = User {
            name: "Anna".into(),
            modified_at: at(7),
            ..anna.clone()
        };
        assert_eq!(updated, expected);
        assert_eq!(store.user(anna.id).await.expect("an answer"), Some(updated));
    }
    let nobody = store
        .update_user(UserId::new(at(9)), profile, at(9), None)
        .await;
    assert_eq!(nobody.expect("an answer"), None);
}

pub async fn users_come_in_pages_by_their_numbers(store: Subject) {
    let (anna, boris) = (user(&store, "anna").await, user(&store, "boris").await);
    let vera = user(&store, "vera").await;
    let first = store.users_after(0, 2).await.expect("users");
    assert_eq!(first, [anna, boris.clone()]);
    let second = store.users_after(boris.pk, 2).await.expect("users");
    assert_eq!(second, std::slice::from_ref(&vera));
    assert_eq!(store.users_after(vera.pk, 2).await.expect("users"), []);
}

pub async fn tokens_are_revoked_from_a_time_on(store: Subject) {
    let anna = user(&store, "anna").await;
    assert_eq!(anna.revoked_before, None);
    for (before, moved, expected) in [(5, true, 5), (5, false, 5), (3, false, 5), (9, true, 9)] {
        let revoked = store.revoke_tokens(anna.id, at(before), None).await;
        let after = User {
            revoked_before: Some(at(expected)),
            ..anna.clone()
        };
        assert_eq!(revoked.expect("an answer"), Some((moved, after.clone())));
        let found = [
            user(&store, "anna").await,
            store
                .user(anna.id)
                .await
                .expect("an answer")
                .expect("a user"),
        ];
        assert_eq!(found, [after.clone(), after]);
    }
    let profile = Profile {
        name: Some("Anna".into()),
        ..Profile::default()
    };
    let updated = store.update_user(anna.id, profile, at(7), None).await;
    let updated = updated.expect("an answer").expect("a user");
    assert_eq!(
        (&*updated.name, updated.revoked_before),
        ("Anna", Some(at(9)))
    );
    let nobody = store.revoke_tokens(UserId::new(at(9)), at(1), None).await;
    assert_eq!(nobody.expect("an answer"), None);
}

pub async fn a_revocation_and_a_profile_at_once_both_stand(store: Subject) {
    let anna = user(&store, "anna").await;
    for now in 1..5 {
        let profile = Profile {
            name: Some(format!("Anna {now}")),
            ..Profile::default()
        };
        let (revoked, other, updated) = tokio::join!(
            store.revoke_tokens(anna.id, at(now), None),
            store.revoke_tokens(anna.id, at(now), None),
            store.update_user(anna.id, profile, at(now), None),
        );
        let moved = [revoked, other].map(|revoked| revoked.expect("an answer").expect("a user").0);
        assert_ne!(moved[0], moved[1]);
        updated.expect("an answer").expect("a user");
        let found = store
            .user(anna.id)
            .await
            .expect("an answer")
            .expect("a user");
        assert_eq!(found.name, format!("Anna {now}"));
        assert_eq!(found.revoked_before, Some(at(now)));
    }
}
