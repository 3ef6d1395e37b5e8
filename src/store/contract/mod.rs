//! The contract of every store: each sentence of the traits' comments as a test, instantiated for
//! each store.
//! Does not know which store is under test.

mod audit;
mod bans;
mod chats;
mod creations;
mod events;
mod imports;
mod kept_rights;
mod keys;
pub(in crate::store) mod lease;
mod lifecycle;
mod limits;
mod members;
mod messages;
pub(in crate::store) mod numbers;
mod sanctions;
mod sweep;
mod transfer;
mod users;

use std::sync::Arc;

use jiff::Timestamp;

use super::Store;
use crate::model::{
    Chat, ChatId, Draft, MessageId, NewChat, NewPk, NewUser, PendingMessage, Policy, Profile, User,
    UserId,
};

/// A store under test: empty, and not shared.
pub(in crate::store) type Subject = Arc<dyn Store>;

/// The moment so many milliseconds after the beginning of the test's time.
pub(in crate::store) fn at(millisecond: i64) -> Timestamp {
    const BEGINNING: i64 = 1_740_000_000_000;
    Timestamp::from_millisecond(BEGINNING + millisecond).expect("a time in this century")
}

pub(in crate::store) async fn user(store: &Subject, external_id: &str) -> User {
    let new = NewUser {
        pk: NewPk::default(),
        id: UserId::new(at(0)),
        external_id: external_id.into(),
        profile: Profile::default(),
        at: at(0),
        audit: None,
    };
    store.find_or_create_user(new).await.expect("a user")
}

pub(in crate::store) fn new_chat(members: &[&User], millisecond: i64) -> NewChat {
    NewChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at(millisecond)),
        name: Some("talk".into()),
        policy: Policy::Closed,
        owner: members.first().map(|user| user.id),
        team: None,
        key: None,
        members: members.iter().map(|user| user.id).collect(),
        at: at(millisecond),
        audit: Vec::new(),
    }
}

pub(in crate::store) async fn chat(store: &Subject, members: &[&User], millisecond: i64) -> Chat {
    let new = new_chat(members, millisecond);
    store.create_chat(new).await.expect("a chat")
}

pub(in crate::store) fn entry(
    chat: ChatId,
    sender: &User,
    text: &str,
    millisecond: i64,
) -> PendingMessage {
    PendingMessage {
        id: MessageId::new(at(millisecond)),
        chat,
        sender: sender.id,
        origin: None,
        draft: Draft::text(text),
        at: at(millisecond),
    }
}

/// Instantiates every promise for one store. The file of a store on disk is deleted afterwards.
macro_rules! contract {
    ($store:ident, $open:expr, $($noun:ident: [$($promise:ident),+ $(,)?]),+ $(,)?) => {
        mod $store {
            $(mod $noun {
                $(
                    #[tokio::test]
                    async fn $promise() {
                        let (store, _folder) = $open.await;
                        crate::store::contract::$noun::$promise(store).await;
                    }
                )+
            })+
        }
    };
}

/// All promises.
macro_rules! every_promise {
    ($store:ident, $open:expr) => {
        contract!(
            $store,
            $open,
            users: [
                a_new_user_gets_the_next_pk_and_defaults,
                a_known_external_id_finds_the_same_user,
                a_profile_is_taken_over_and_kept,
                two_calls_at_once_make_one_user,
                many_users_are_found_or_created_in_the_order_given,
                calls_at_once_with_some_users_in_common_make_each_once,
                a_user_is_found_by_its_external_id,
                an_unknown_user_is_none,
                those_who_are_no_users_are_notified_in_order,
                users_come_in_the_order_asked_for_without_the_unknown,
                a_user_is_found_by_its_pk,
                an_update_changes_what_it_names,
                users_come_in_pages_by_their_numbers,
                tokens_are_revoked_from_a_time_on,
                a_revocation_and_a_profile_at_once_both_stand,
            ],
            chats: [
                a_new_chat_gets_the_next_pk_and_keeps_the_order_of_its_members,
                a_taken_id_is_a_duplicate_and_changes_nothing,
                with_a_member_who_is_no_user_nothing_is_created,
                an_unknown_chat_is_none,
                chats_come_with_the_most_recently_active_first,
                pages_of_chats_go_on_where_the_last_one_ended,
                a_user_in_no_chat_has_an_empty_page,
                memberships_have_every_chat_and_the_version_of_its_members,
                those_in_many_chats_are_notified_in_order,
                marks_show_each_change_of_a_chat_but_messages,
                heads_come_in_the_order_asked_for,
                a_chat_is_found_by_its_pk,
                many_chats_are_found_by_their_pks,
                all_chats_come_in_pages_by_their_numbers,
                open_chats_and_own_ones_are_visible,
                own_chats_come_before_the_newest_others_in_pages,
                a_change_keeps_what_it_does_not_name_and_moves_the_times,
                a_deleted_chat_is_gone_with_everything_in_it,
            ],
            members: [
                a_new_member_is_the_last_one,
                a_member_joins_once,
                a_position_moves_forward_only_and_not_past_the_end,
                one_who_leaves_is_no_member_and_begins_anew,
                it_is_stored_since_which_message_a_user_is_a_member,
                each_change_of_the_members_has_the_next_version,
                many_changes_at_once_are_all_counted,
                sending_marks_as_read,
                reading_on_moves_forward_only_and_not_past_the_end,
                who_is_no_member_has_no_position,
                in_a_chat_that_does_not_exist_nobody_takes_part,
            ],
            limits: [
                a_full_chat_takes_no_new_member,
                additions_at_once_do_not_exceed_the_members_of_a_chat,
                additions_at_once_do_not_exceed_the_chats_of_a_user,
                creations_at_once_do_not_exceed_the_chats_of_their_owner,
                owned_chats_count_once_with_those_of_a_member,
                an_events_chat_counts_for_both,
                a_taken_key_is_a_duplicate_beyond_a_limit_too,
            ],
            sanctions: [
                members_begin_with_the_default_role,
                the_creator_of_an_events_chat_is_its_owner,
                a_role_is_changed_and_counted,
                a_mute_is_replaced_and_lifted,
                ends_are_kept_in_whole_milliseconds,
                a_chat_is_visible_if_it_is_open_or_the_user_a_member,
                reading_on_and_joining_again_leave_rights_as_they_are,
                changes_at_once_are_all_counted,
            ],
            kept_rights: [
                a_mute_and_the_role_reader_outlive_a_membership,
                a_user_that_is_no_member_is_muted_and_freed,
                of_the_roles_only_the_reader_is_kept,
                kept_rights_need_a_user_and_a_chat,
                kept_rights_are_of_one_chat_and_end_with_it,
                a_mute_and_a_new_membership_at_once_both_count,
            ],
            bans: [
                a_ban_ends_a_membership,
                a_ban_of_a_stranger_is_replaced_and_lifted,
                bans_come_by_the_ids_of_their_users,
                a_ban_outlives_a_membership_and_ends_with_the_chat,
                a_ban_needs_a_user_and_a_chat,
                an_open_chat_is_not_visible_while_a_ban_applies,
                of_two_equal_bans_at_once_one_counts,
                a_ban_and_a_new_membership_at_once_both_count,
                rights_are_those_of_one_moment,
                rights_in_many_chats_are_those_in_each,
            ],
            audit: [
                every_act_is_recorded_with_its_change,
                without_a_chat_or_a_user_nothing_is_recorded,
                of_two_equal_acts_at_once_one_is_recorded,
                who_lifts_what_has_ended_is_not_recorded,
                a_record_comes_back_as_it_was_given,
                every_act_has_a_place_in_the_log,
                records_come_in_pages_by_their_ids,
            ],
            creations: [
                every_change_of_a_user_is_recorded_once,
                two_equal_changes_of_a_user_at_once_are_one,
                members_are_recorded_with_their_new_chat,
                every_change_of_an_event_is_recorded_once,
                a_record_may_come_alone,
                a_change_of_a_chat_is_recorded_if_something_is_other_than_before,
            ],
            messages: [
                numbers_begin_at_one_and_have_no_holes,
                a_batch_for_several_chats_is_numbered_in_each,
                many_batches_at_once_leave_no_hole,
                time_never_runs_backwards_in_a_chat,
                a_repeated_client_id_answers_the_first_message,
                a_client_id_counts_per_chat_and_sender,
                an_entry_for_no_chat_is_none_and_the_others_stand,
                a_message_moves_the_activity_of_its_chat_only,
                history_is_oldest_first_and_says_if_there_is_more,
                ranges_of_numbers_exclude_their_ends,
                ranges_of_time_include_their_ends,
                a_time_is_found_among_many_messages_wherever_it_lies,
                a_page_ends_early_when_its_texts_are_long,
                a_chat_that_does_not_exist_has_no_history,
                text_comes_back_as_it_was_given,
                a_message_carries_its_sender_and_its_marks,
                photos_come_back_in_their_order,
                metadata_comes_back_as_it_was_written,
            ],
            events: [
                a_new_event_gets_the_next_pk,
                an_event_needs_an_owner,
                an_unknown_event_is_none,
                events_come_in_pages_of_all_and_of_one_owner,
                a_change_moves_the_time_of_an_event_forward,
                a_deleted_event_takes_its_chats_along,
                a_guest_and_an_owner_have_one_chat,
                two_who_open_one_chat_at_once_get_the_same,
                without_event_or_guest_no_chat_is_opened,
                access_changes_from_one_state_to_another_and_is_counted,
                a_chat_of_no_event_is_none,
                event_chats_come_with_the_most_recently_active_first,
                the_latest_messages_of_an_events_chat_end_where_it_ended,
                a_message_carries_how_things_stand_after_it,
                history_carries_how_things_stand_now,
            ],
            numbers: [
                next_numbers_leave_out_chosen_ones,
                a_chosen_number_of_another_is_taken,
                next_numbers_of_deleted_ones_are_not_given_again,
                a_batch_has_chosen_and_next_numbers,
                a_long_row_of_chosen_numbers_is_left_out,
                chosen_and_next_numbers_at_once_never_collide,
                chosen_numbers_are_taken_along,
                a_chat_is_found_by_its_name_in_the_host_application,
                another_policy_is_another_version_of_the_members,
            ],
            keys: [
                a_chat_is_found_by_the_name_of_its_key,
                an_event_is_found_by_the_name_of_its_key,
                a_repeated_creation_places_nobody_back,
                a_key_makes_one_chat_and_one_event,
            ],
            transfer: [
                a_filled_store_returns_all_of_it,
                what_goes_out_comes_in_as_it_was,
                numbers_go_on_after_a_copy,
                what_is_there_is_not_taken_twice,
                a_hole_in_a_chat_is_refused,
                an_unfinished_copy_is_marked_and_refused,
                only_an_empty_store_is_empty,
            ],
            imports: [
                an_original_id_counts_once_in_its_chat,
                two_imports_at_once_store_each_message_once,
                an_imported_message_keeps_its_time_or_is_not_stored,
                a_message_is_found_by_its_original_id,
                next_numbers_of_chats_are_given_out_once,
                messages_up_to_a_given_head_move_no_read_position,
            ],
            sweep: [
                a_deleted_chat_is_emptied_in_pieces_and_never_seen_meanwhile,
                without_a_deleted_chat_nothing_is_removed,
            ],
            lifecycle: [
                an_open_store_answers_a_ping,
                a_closed_store_is_unavailable,
                an_open_store_lacks_no_index,
                a_migration_again_changes_nothing,
                the_totals_count_what_is_there,
            ],
            lease: [
                a_free_lease_is_taken_and_renewed,
                its_holder_takes_a_lease_again,
                a_released_lease_is_free,
            ],
        );
    };
}

every_promise!(sqlite_in_memory, async {
    let store = crate::store::open("sqlite::memory:").await;
    (store.expect("a database in memory"), ())
});

every_promise!(sqlite_on_disk, async {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", folder.path().join("chat.db").display());
    let store = crate::store::open(&url).await;
    (store.expect("a database on disk"), folder)
});

every_promise!(mongodb, crate::store::mongodb::replica_set::subject());
