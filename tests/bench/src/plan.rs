//! What PostgreSQL did for a query, out of `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use wabridge_testkit::TestDatabase;

/// A query as it ran.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    pub indexes: BTreeSet<String>,
    /// Tables that were read from end to end.
    pub sequential: BTreeSet<String>,
    /// Rows that were looked at, by table.
    pub rows: BTreeMap<String, u64>,
    /// Pages of 8 KiB, from memory or disk.
    pub pages: u64,
}

impl Plan {
    /// Runs the query and tells how.
    pub async fn of(database: &TestDatabase, sql: &str) -> Self {
        let said = database
            .admin
            .query_one(&format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"), &[])
            .await
            .unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        Self::read(&said.get::<_, Value>(0))
    }

    fn read(said: &Value) -> Self {
        let root = &said[0]["Plan"];
        let mut plan = Self::default();
        for key in ["Shared Hit Blocks", "Shared Read Blocks"] {
            plan.pages += root[key].as_u64().unwrap_or(0);
        }
        plan.walk(root);
        plan
    }

    fn walk(&mut self, node: &Value) {
        if let Some(index) = node["Index Name"].as_str() {
            self.indexes.insert(index.to_owned());
        }
        if let Some(table) = node["Relation Name"].as_str() {
            let number = |key: &str| node[key].as_f64().unwrap_or(0.0);
            let looked = number("Actual Rows")
                + number("Rows Removed by Filter")
                + number("Rows Removed by Index Recheck");
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let rows = (looked * number("Actual Loops")).round() as u64;
            *self.rows.entry(table.to_owned()).or_default() += rows;
            if node["Node Type"].as_str().is_some_and(|kind| kind.ends_with("Seq Scan")) {
                self.sequential.insert(table.to_owned());
            }
        }
        for child in node["Plans"].as_array().into_iter().flatten() {
            self.walk(child);
        }
    }

    /// Rows of the large tables that were looked at.
    pub fn looked_at(&self, table: &str) -> u64 {
        self.rows.get(table).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_read() {
        let said = json!([{"Plan": {
            "Node Type": "Aggregate", "Shared Hit Blocks": 7, "Shared Read Blocks": 2,
            "Plans": [
                {"Node Type": "Index Scan", "Index Name": "i", "Relation Name": "large", "Actual Rows": 3,
                 "Rows Removed by Filter": 1, "Actual Loops": 10},
                {"Node Type": "Seq Scan", "Relation Name": "small", "Actual Rows": 5, "Actual Loops": 1},
            ],
        }}]);
        let plan = Plan::read(&said);
        assert_eq!(plan.pages, 9);
        assert_eq!((plan.looked_at("large"), plan.looked_at("small")), (40, 5));
        assert!(plan.sequential.contains("small") && !plan.sequential.contains("large"));
        assert!(plan.indexes.contains("i"));
    }
}
