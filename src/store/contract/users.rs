//! The promises of `Users`.
//! It refuses to know which store it is looking at.

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
        id: UserId::new(at(5)),
        external_id: "anna".into(),
        profile: Profile {
            name: Some("Анна".into()),
            image_uuid: Some("picture".into()),
            ..Profile::default()
        },
        at: at(5),
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

pub async fn an_unknown_user_is_none(store: Subject) {
    let found = store.user(UserId::new(at(0))).await.expect("an answer");
    assert_eq!(found, None);
}

pub async fn those_who_are_no_users_are_told_in_order(store: Subject) {
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
        let updated = store.update_user(anna.id, profile.clone(), at(now)).await;
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
    let nobody = store.update_user(UserId::new(at(9)), profile, at(9)).await;
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
