//! The bus of a single node: a bounded queue from the service to the node's own relay.
//! Does not know that other nodes could exist.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Mutex, mpsc};

use super::{Bus, BusError, Health, News};
use crate::model::{NodeId, Notice};

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
    async fn publish(&self, notices: Vec<Notice>) -> Result<(), BusError> {
        let sender = self.sender.read().clone().ok_or(BusError::Closed)?;
        for notice in notices {
            let sent = sender.send(Arc::new(notice)).await;
            sent.map_err(|_| BusError::Closed)?;
        }
        Ok(())
    }

    async fn next(&self, limit: usize) -> News {
        let mut notices = Vec::new();
        let mut receiver = self.receiver.lock().await;
        match receiver.recv_many(&mut notices, limit).await {
            0 => News::Closed,
            _ => News::Local(notices),
        }
    }

    fn is_heard(&self) -> bool {
        true
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn expect(&self, _: &[NodeId]) {}

    fn health(&self) -> Health {
        Health {
            nodes: 1,
            owed: Some(0),
            ..Health::default()
        }
    }

    fn close(&self) {
        self.sender.write().take();
    }
}
