use tasker_worker::Handlers;

struct Mailer;

fn main() {
    let _ = Handlers::new().register("mails.send", Mailer);
}
