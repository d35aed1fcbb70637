//! What was measured, as people read it.

/// Values of several rounds.
#[derive(Debug, Clone, Default)]
pub struct Values(Vec<f64>);

impl Values {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }

    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            n if n % 2 == 1 => sorted[n / 2],
            n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
        }
    }

    /// `median [least–greatest]` with so many digits.
    pub fn words(&self, digits: usize) -> String {
        let sorted = self.sorted();
        let (Some(least), Some(most)) = (sorted.first(), sorted.last()) else {
            return "–".into();
        };
        format!("{:.digits$} [{least:.digits$}–{most:.digits$}]", self.median())
    }
}

/// A report that grows while it is measured.
#[derive(Debug, Default)]
pub struct Report {
    pub text: String,
    targets: Vec<[String; 4]>,
}

impl Report {
    /// A line; shown at once.
    pub fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub fn heading(&mut self, words: &str) {
        self.line(&format!("\n## {words}\n"));
    }

    /// A row of the Targets.
    pub fn target(&mut self, what: &str, required: &str, aim: &str, measured: &str) {
        self.targets.push([what, measured, required, aim].map(str::to_owned));
    }

    /// The rows of the Targets first, then how they came about.
    pub fn whole(&self, title: &str) -> String {
        let mut text =
            format!("{title}\n| what | measured | required | aim |\n| --- | --- | --- | --- |\n");
        for row in &self.targets {
            text.push_str(&format!("| {} |\n", row.join(" | ")));
        }
        text.push_str(&self.text);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_ends() {
        let mut values = Values::default();
        assert_eq!(values.words(1), "–");
        for value in [3.0, 1.0, 2.0, f64::NAN] {
            values.push(value);
        }
        assert_eq!(values.words(1), "2.0 [1.0–3.0]");
        values.push(4.0);
        assert!((values.median() - 2.5).abs() < 1e-9);
    }
}
