/** Moved: see message.ts. */
export type { Channel, ChannelClose, ChannelMessage } from './message.ts';
