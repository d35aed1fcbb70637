//! What the suite asks of an account, and what it looks at.

use super::*;

impl World {
    /// It is in two groups: it made `Ops`, and is a plain member of `Others`.
    pub(super) async fn with_groups(kind: ProviderKind) -> Self {
        let groups = json!([
            {"id": OPS, "name": "Ops", "participants": [OWN, MEMBER, ADMIN], "admins": [ADMIN]},
            {"id": OTHERS, "name": "Others", "participants": ["447700900130", OWN, MEMBER]},
        ]);
        Self::start(kind, custom_mapping::MAPPING, json!({"groups": groups})).await
    }

    /// A group of the world as the provider names it.
    pub(super) fn id(&self, group: &str) -> String {
        match (self.kind, group) {
            (ProviderKind::Meta, OPS) => "Y2FwaV9ncm91cDoxMjAzNjMwMjU1NTAxMDA3MDEZD".to_owned(),
            (ProviderKind::Meta, OTHERS) => "Y2FwaV9ncm91cDoxMjAzNjMwMjU1NTAxMDA3MDIZD".to_owned(),
            (ProviderKind::Meta, other) => panic!("{other} has no id of Meta's here"),
            (_, group) => group.to_owned(),
        }
    }

    pub(super) fn person(&self, number: &str) -> Person {
        let to = Recipient::parse(&format!("+{number}"), None).expect("a number");
        let chat = self.adapter.chat(&to).expect("a chat");
        self.adapter.person(&chat.id).expect("a person")
    }

    pub(super) fn people(&self, numbers: &[&str]) -> Vec<Person> {
        numbers.iter().map(|number| self.person(number)).collect()
    }

    /// What was asked for since the last question: method, path and body; a body that is no JSON by its type alone.
    pub(super) async fn asked(&self) -> Vec<(String, Value)> {
        let all = self.simulator.requests("/").await;
        let api = |one: &&Value| one["path"].as_str().is_some_and(|p| !p.starts_with("/_control"));
        let seen = all.iter().filter(api);
        let line = |one: &Value| {
            let (method, path) = (one["method"].as_str(), one["path"].as_str());
            let kind = one["headers"]["content-type"].as_str().unwrap_or_default();
            let body = match kind.split(';').next() {
                Some("" | "application/json") => one["body"].clone(),
                other => json!(other),
            };
            (format!("{} {}", method.unwrap_or_default(), path.unwrap_or_default()), body)
        };
        seen.map(line).collect()
    }

    /// The members of a group and their roles, as the world has them.
    pub(super) async fn members(&self, group: &str) -> Vec<(String, String)> {
        let state = self.state().await;
        let groups = state["groups"].as_array().cloned().unwrap_or_default();
        let found = groups.into_iter().find(|one| one["id"] == group || one["name"] == group);
        let group = found.unwrap_or_else(|| panic!("no group {group}"));
        let member = |one: &Value| {
            let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
            (text("phone"), text("role"))
        };
        group["members"].as_array().into_iter().flatten().map(member).collect()
    }

    pub(super) async fn group(&self, group: &str) -> Value {
        let state = self.state().await;
        let groups = state["groups"].as_array().cloned().unwrap_or_default();
        groups
            .into_iter()
            .find(|one| one["id"] == group || one["name"] == group)
            .unwrap_or_default()
    }

    pub(super) async fn state(&self) -> Value {
        let url = format!("{}/_control/state", self.simulator.url);
        let answer = self.http.get(url).send().await.expect("the simulator answers");
        serde_json::from_slice(&answer.bytes().await.expect("a body")).expect("JSON")
    }

    /// Results in the order of the numbers, and the requests that it took.
    pub(super) async fn change(
        &self,
        group: &str,
        operation: MemberOperation,
        numbers: &[&str],
    ) -> Result<Vec<MemberResult>, CallError> {
        let (people, id) = (self.people(numbers), self.id(group));
        let at = now();
        let (changed, _) =
            change_members(&*self.adapter, &self.call(), &id, operation, &people, at).await?;
        Ok(changed.people.iter().map(|one| one.result.expect("always told in the end")).collect())
    }

    pub(super) async fn made(&self, new: &NewGroup) -> Result<Made, CreateError> {
        make_group(&*self.adapter, &self.call(), new, now()).await
    }
}
