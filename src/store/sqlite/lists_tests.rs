//! The plans of the queries of a list: no query reads a whole table, or sorts.
//! Does not test what a list holds: that is in the contract.

use rusqlite::Connection;

use super::*;
use crate::store::sqlite::schema;
use crate::store::transfer::Unfinished;

/// The plan of a query, a step a line.
fn plan(connection: &Connection, query: &str) -> String {
    let explain = format!("EXPLAIN QUERY PLAN {query}");
    let mut statement = connection.prepare(&explain).expect("a query");
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().expect("a row") {
        steps.push(row.get::<_, String>("detail").expect("a step"));
    }
    steps.join("\n")
}

fn assert_uses(connection: &Connection, query: &str, step: &str) {
    let plan = plan(connection, query);
    assert!(plan.contains(step), "{step} in\n{plan}");
    assert!(!plan.contains("SCAN"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

/// 3,000 chats of one user, 6 of them open, a third of them with that member.
const CHATS: &str =
    "INSERT INTO users VALUES (7, x'01', 'anna', 'anna', 'anna', '', '', NULL, 0, 0, NULL);
     WITH RECURSIVE numbers (number) AS
         (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 3000)
     INSERT INTO chats (pk, id, policy, owner, created_at, modified_at, active_at)
     SELECT number, CAST(number AS BLOB), iif(number % 500 = 0, 'open', 'closed'), 7, 0, 0, 0
     FROM numbers;
     INSERT INTO members (chat, place, user) SELECT pk, 0, 7 FROM chats WHERE pk % 3 = 0";

#[test]
fn no_list_reads_a_whole_table() {
    let mut connection = Connection::open_in_memory().expect("a database");
    schema::migrate(&mut connection, Unfinished::Refused).expect("a schema");
    // Empty, filled, and with statistics about what it holds.
    for batch in ["", CHATS, "ANALYZE"] {
        connection.execute_batch(batch).expect("executed");
        let own = "SEARCH members USING COVERING INDEX members_user (user=? AND chat<?)";
        assert_uses(&connection, &select(OWN), own);
        let others = "SEARCH chats USING INDEX chats_open (policy=? AND rowid<?)";
        assert_uses(&connection, &select(OTHERS), others);
    }
}
