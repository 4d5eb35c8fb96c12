//! Images without Assay.

use super::assay::{Assay, session};

#[test]
fn what_an_image_lacks_is_told_at_once_before_any_session() {
    for (image, message) in [
        ("smelt-test/base", "the sandbox has no `assay`, no `claude`"),
        ("smelt-test/bare", "the sandbox has no `assay`, no `git`, no `claude`"),
    ] {
        let assay = Assay::with(&[]);
        let repo = assay.env.repo();
        let manifest = assay.manifest("job", "separate", &session("one", "true", "true", ""));
        let text = std::fs::read_to_string(&manifest).unwrap();
        std::fs::write(&manifest, text.replace("smelt-test/assay", image)).unwrap();
        let said = assay.env.run(&manifest).with_code(65);
        assert!(said.stdout.contains(message), "{}", said.stdout);
        assert!(said.stdout.contains("add them to the image"), "{}", said.stdout);
        assert!(said.stdout.contains("`kind = \"direct\"`"), "{}", said.stdout);
        assert!(!said.stdout.contains("[one] started"), "{}", said.stdout);
        assay.env.nothing_is_left(&repo);
    }
}
