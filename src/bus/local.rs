//! The bus of a single node: a bounded queue from the service to the node's own relay.
//! Does not know that other nodes could exist.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::{Bus, BusError};
use crate::model::Notice;

/// How many notices may wait for the relay before publishing waits, too.
const CAPACITY: usize = 4096;

/// A queue inside this process. Nothing is ever lost in it.
pub struct Local {
    sender: parking_lot::RwLock<Option<mpsc::Sender<Arc<Notice>>>>,
    receiver: Mutex<mpsc::Receiver<Arc<Notice>>>,
}

impl Default for Local {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        Self {
            sender: parking_lot::RwLock::new(Some(sender)),
            receiver: Mutex::new(receiver),
        }
    }
}

#[async_trait]
impl Bus for Local {
    async fn publish(&self, notice: Notice) -> Result<(), BusError> {
        let sender = self.sender.read().clone().ok_or(BusError::Closed)?;
        let sent = sender.send(Arc::new(notice)).await;
        sent.map_err(|_| BusError::Closed)
    }

    async fn next(&self, limit: usize) -> Vec<Arc<Notice>> {
        let mut notices = Vec::new();
        let mut receiver = self.receiver.lock().await;
        receiver.recv_many(&mut notices, limit).await;
        notices
    }

    fn close(&self) {
        self.sender.write().take();
    }
}
