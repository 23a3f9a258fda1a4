//! Changes of lists, told to whoever listens.

use rmcp::service::SubscriptionContext;
use tokio::sync::broadcast;

/// A list that changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Change {
    Tools,
    Prompts,
}

/// The way from the tools that change a list to the streams that listen.
#[derive(Debug, Clone)]
pub(super) struct Changes(broadcast::Sender<Change>);

impl Changes {
    /// Creates a way on which nobody listens.
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(16))
    }

    /// Says that a list changed.
    pub(super) fn say(&self, change: Change) {
        // An error says that nobody listens.
        let _ = self.0.send(change);
    }

    /// Tells one stream of changes until it ends. The stream itself leaves out what its client
    /// did not ask for.
    pub(super) async fn tell(&self, context: &SubscriptionContext) {
        let mut changes = self.0.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return,
                change = changes.recv() => change,
            };
            let told = match change {
                Ok(Change::Tools) if context.accepted().tools_list_changed == Some(true) => {
                    context.sink().notify_tool_list_changed().await
                }
                Ok(Change::Prompts) if context.accepted().prompts_list_changed == Some(true) => {
                    context.sink().notify_prompt_list_changed().await
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => Ok(()),
                Err(broadcast::error::RecvError::Closed) => return,
            };
            if told.is_err() {
                return;
            }
        }
    }
}
