import { setFlagsFromString } from 'node:v8';

// V8 lets the space for what is young grow threefold, early: for hundreds of nodes that is 30 MB of 160, and saves no time.
setFlagsFromString('--semi-space-growth-factor=1');
