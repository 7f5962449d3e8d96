// Clients of a WebSocket on which little is sent: they answer pings, and take the rest unread. Says when all are connected.
import { FrameClient } from './frame-client';

const [url = '', clients = '1', token = ''] = process.argv.slice(2);
const count = Number(clients);
/** How many are being connected at a time. */
const atOnce = 64;

let begun = 0;
let open = 0;

function connectNext(): void {
  if (begun === count) return;
  begun += 1;
  new FrameClient({
    url,
    token,
    onOpen: () => {
      open += 1;
      if (open === count) process.send?.('open');
      connectNext();
    },
  });
}

for (let client = 0; client < atOnce; client += 1) connectNext();
