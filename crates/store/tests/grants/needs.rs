//! Which rights a statement needs, told by PostgreSQL itself: its parse tree names, for each table, the columns that are
//! read, inserted and updated, and what is asked of the table as a whole. The executor checks exactly these.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use tokio_postgres::{AsyncMessage, Client, NoTls};

use crate::statements::Statement;

/// Bits of `requiredPerms` (PostgreSQL's `parsenodes.h`).
const INSERT: u32 = 1;
const SELECT: u32 = 1 << 1;
const UPDATE: u32 = 1 << 2;
const DELETE: u32 = 1 << 3;
/// Column numbers are counted from here on, system columns first (`FirstLowInvalidHeapAttributeNumber`).
const FIRST: i16 = -7;

/// What statements need of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Column → letters of `r` (read), `i` (insert), `u` (update).
    pub columns: BTreeMap<String, String>,
    pub delete: bool,
}

impl Needs {
    pub fn add(&mut self, column: &str, right: char) {
        let rights = self.columns.entry(column.to_owned()).or_default();
        if !rights.contains(right) {
            rights.push(right);
        }
        // Always in the same order.
        *rights = ['r', 'i', 'u'].into_iter().filter(|c| rights.contains(*c)).collect();
    }

    pub fn merge(&mut self, other: &Needs) {
        for (column, rights) in &other.columns {
            rights.chars().for_each(|right| self.add(column, right));
        }
        self.delete |= other.delete;
    }

    fn has(&self, right: char) -> bool {
        self.columns.values().any(|rights| rights.contains(right))
    }
}

/// A connection that shows the trees of what it prepares.
pub struct Parser {
    client: Client,
    trees: Arc<Mutex<Vec<String>>>,
    /// Tables of Odoo: oid → name, (oid, number) → column.
    tables: HashMap<u32, String>,
    columns: HashMap<(u32, i16), String>,
}

impl Parser {
    pub async fn connect(url: &str) -> Self {
        let (client, mut connection) =
            tokio_postgres::connect(url, NoTls).await.expect("the test database answers");
        let trees = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&trees);
        tokio::spawn(async move {
            let mut next = std::future::poll_fn(|cx| connection.poll_message(cx)).await;
            while let Some(Ok(message)) = next {
                if let AsyncMessage::Notice(notice) = message
                    && notice.message().starts_with("rewritten parse tree")
                {
                    seen.lock()
                        .expect("nobody panics with it")
                        .push(notice.detail().unwrap_or_default().to_owned());
                }
                next = std::future::poll_fn(|cx| connection.poll_message(cx)).await;
            }
        });
        let sql = "SELECT c.oid, c.relname::text, a.attnum, a.attname::text
                   FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                   WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')";
        let mut tables = HashMap::new();
        let mut columns = HashMap::new();
        for row in client.query(sql, &[]).await.expect("the catalogue can be read") {
            let oid: u32 = row.get(0);
            tables.insert(oid, row.get(1));
            columns.insert((oid, row.get(2)), row.get(3));
        }
        let show = "SET client_min_messages = log; SET debug_pretty_print = off; SET debug_print_rewritten = on";
        client.batch_execute(show).await.expect("anybody may set these");
        Self { client, trees, tables, columns }
    }

    /// What a statement needs, by table of Odoo's.
    pub async fn needs(&self, statement: &Statement) -> Result<BTreeMap<String, Needs>, String> {
        self.trees.lock().expect("nobody panics with it").clear();
        self.client.prepare(&statement.sql).await.map_err(|error| {
            let why = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            format!("{}: PostgreSQL does not understand it: {why}", statement.name)
        })?;
        let trees = std::mem::take(&mut *self.trees.lock().expect("nobody panics with it"));
        assert!(!trees.is_empty(), "{}: no tree was shown", statement.name);
        let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
        for tree in &trees {
            self.read(tree, &mut needs);
        }
        for (table, of) in &mut needs {
            // `SELECT count(*)` and row locks ask for the right on any one column.
            if of.columns.remove("?r").is_some() && !of.has('r') {
                of.add("id", 'r');
            }
            if of.columns.remove("?u").is_some() && !of.has('u') {
                of.add("?lock", 'u');
            }
            assert!(!of.columns.contains_key(""), "{table}: {}", statement.name);
        }
        Ok(needs)
    }

    /// Takes over what the entries of one tree ask for.
    fn read(&self, tree: &str, needs: &mut BTreeMap<String, Needs>) {
        let mut words = tree.split_whitespace().map(|word| word.trim_matches(['{', '}', '(', ')']));
        let (mut relation, mut asked) = (0_u32, 0_u32);
        while let Some(word) = words.next() {
            let right = match word {
                ":relid" => {
                    relation = words.next().and_then(|n| n.parse().ok()).unwrap_or(0);
                    continue;
                }
                ":requiredPerms" => {
                    asked = words.next().and_then(|n| n.parse().ok()).expect("a number");
                    let Some(table) = self.tables.get(&relation).filter(|_| asked != 0) else {
                        continue;
                    };
                    let of = needs.entry(table.clone()).or_default();
                    of.delete |= asked & DELETE != 0;
                    for (bit, mark) in [(SELECT, "?r"), (UPDATE, "?u")] {
                        if asked & bit != 0 {
                            of.columns.insert(mark.to_owned(), String::new());
                        }
                    }
                    continue;
                }
                ":selectedCols" if asked & SELECT != 0 => 'r',
                ":insertedCols" if asked & INSERT != 0 => 'i',
                ":updatedCols" if asked & UPDATE != 0 => 'u',
                _ => continue,
            };
            let Some(table) = self.tables.get(&relation) else { continue };
            assert_eq!(words.next(), Some("b"), "a set of numbers follows {word}");
            let mut rest = words.clone();
            while let Some(number) = rest.next().and_then(|n| n.parse::<i16>().ok()) {
                words.next();
                let number = number + FIRST;
                let of = needs.entry(table.clone()).or_default();
                match self.columns.get(&(relation, number)) {
                    Some(column) => of.add(column, right),
                    // The whole row: each of its columns.
                    None if number == 0 => self
                        .columns
                        .iter()
                        .filter(|((oid, _), _)| *oid == relation)
                        .for_each(|(_, column)| of.add(column, right)),
                    None => {
                        panic!("system column {number} of {table}: grant it by name or do without")
                    }
                }
            }
        }
    }
}
