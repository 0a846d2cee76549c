//! Reply bodies that misbehave: cut in half, or dripping.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// The connection is to be cut here; hyper closes it without finishing the reply.
#[derive(Debug, thiserror::Error)]
#[error("the simulator cuts the reply here")]
pub(crate) struct Cut;

/// A body of known length, sent as the fault says.
#[derive(Debug)]
pub(crate) struct Reply {
    left: Bytes,
    pace: Pace,
}

#[derive(Debug)]
enum Pace {
    Whole,
    /// Half of it, then one turn in which hyper flushes, then the cut.
    Half {
        sent: bool,
        flushed: bool,
    },
    Drip {
        every: Duration,
        pause: Option<Pin<Box<Sleep>>>,
    },
}

impl Reply {
    pub(crate) fn whole(body: impl Into<Bytes>) -> Self {
        Self { left: body.into(), pace: Pace::Whole }
    }

    pub(crate) fn half(body: impl Into<Bytes>) -> Self {
        Self { left: body.into(), pace: Pace::Half { sent: false, flushed: false } }
    }

    pub(crate) fn drip(body: impl Into<Bytes>, every: Duration) -> Self {
        Self { left: body.into(), pace: Pace::Drip { every, pause: None } }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let this = &mut *self;
        if this.left.is_empty() {
            return Poll::Ready(None);
        }
        match &mut this.pace {
            Pace::Whole => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.left))))),
            Pace::Half { sent: false, .. } => {
                this.pace = Pace::Half { sent: true, flushed: false };
                let half = this.left.split_to(this.left.len().div_ceil(2));
                Poll::Ready(Some(Ok(Frame::data(half))))
            }
            Pace::Half { flushed: false, .. } => {
                this.pace = Pace::Half { sent: true, flushed: true };
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Pace::Half { .. } => Poll::Ready(Some(Err(Cut))),
            Pace::Drip { every, pause } => {
                let waiting = pause.get_or_insert_with(|| Box::pin(sleep(*every)));
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                *pause = None;
                Poll::Ready(Some(Ok(Frame::data(this.left.split_to(1)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left.len() as u64)
    }
}
