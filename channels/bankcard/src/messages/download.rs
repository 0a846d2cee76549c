//! Parameter downloads: lists by 0820, all else by 0800 (channels.md §1.3). Without a trace, as the public clients send them.

use super::{RequestError, Requests, six};
use crate::message::Message;
use crate::params::Download;
use crate::params::job::{Kind, Question};

impl Requests<'_> {
    /// 60.3 of a question; empty: this acquirer is not asked it.
    pub fn download_code(&self, what: Download, kind: Kind) -> &str {
        let rules = &self.dialect.downloads;
        match (what, kind) {
            (Download::ContactlessLimits, Kind::List) => "",
            (Download::ContactlessLimits, Kind::Item) => &rules.limits,
            (Download::ContactlessLimits, Kind::End) => &rules.limits_end,
            (Download::Keys, Kind::List) => &rules.keys_list,
            (Download::Keys, Kind::Item) => &rules.keys,
            (Download::Keys, Kind::End) => &rules.keys_end,
            (Download::Applications, Kind::List) => &rules.applications_list,
            (Download::Applications, Kind::Item) => &rules.applications,
            (Download::Applications, Kind::End) => &rules.applications_end,
        }
    }

    /// A question of a download.
    pub fn download(&self, batch: u32, question: &Question) -> Result<Message, RequestError> {
        let mti = if question.kind == Kind::List { *b"0820" } else { *b"0800" };
        let code = self.download_code(question.what, question.kind);
        let mut message = self.start(mti, format!("{}{}{code}", self.dialect.downloads.kind, six(batch)?));
        message.set_unless_empty(62, &question.field62);
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Terminal;
    use super::*;
    use crate::dialect::Dialect;

    #[test]
    fn each_question_has_its_type_and_code() {
        let dialect = Dialect::overlaid("[downloads]\ntype = \"96\"\nlimits_end = \"395\"").unwrap();
        let terminal = Terminal { id: "12345678".into(), merchant: "123456789012345".into() };
        let requests = Requests { dialect: &dialect, terminal: &terminal };
        let told = |what, kind, field62: &[u8]| {
            let question = Question { what, kind, field62: field62.to_vec() };
            let message = requests.download(12, &question).unwrap();
            let mti = message.mti().to_owned();
            (
                mti,
                message.text(60).unwrap().to_owned(),
                message.get(62).map(<[u8]>::to_vec),
                message.get(11).is_none(),
            )
        };
        let (list, item, end) = (Kind::List, Kind::Item, Kind::End);
        for (what, kind, mti, field60) in [
            (Download::Keys, list, "0820", "96000012372"),
            (Download::Keys, item, "0800", "96000012370"),
            (Download::Keys, end, "0800", "96000012371"),
            (Download::Applications, list, "0820", "96000012382"),
            (Download::Applications, item, "0800", "96000012380"),
            (Download::Applications, end, "0800", "96000012381"),
            (Download::ContactlessLimits, item, "0800", "96000012394"),
            (Download::ContactlessLimits, end, "0800", "96000012395"),
        ] {
            let field62 = (kind == list).then(|| b"100".to_vec());
            assert_eq!(
                told(what, kind, field62.as_deref().unwrap_or_default()),
                (mti.to_owned(), field60.to_owned(), field62, true)
            );
        }
        let question = Question { what: Download::Keys, kind: list, field62: Vec::new() };
        assert_eq!(requests.download(0, &question), Err(RequestError::Number));
    }
}
