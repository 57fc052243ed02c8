import { connect, type Socket } from 'node:net';
import { password } from './settings.ts';

/** The little that the harness says to Redis and Sentinels, each on a connection of its own so that a cut delays nothing else. */

export type Answer = string | number | null | Answer[];

/** Connects, signs in, asks one question. Rejects after `timeoutMs` and on an error reply. */
export function ask(host: string, port: number, words: readonly string[], timeoutMs = 2000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let count = 0;
    const connection = openConnection(host, port, (answer) => {
      count += 1; // the first is AUTH's
      if (answer instanceof Error) end(() => reject(answer));
      else if (count === 2) end(() => resolve(answer));
    });
    const timer = setTimeout(
      () => end(() => reject(new Error(`${host}:${port} did not answer ${words[0]}`))),
      timeoutMs,
    );
    const end = (tell: () => void): void => {
      clearTimeout(timer);
      connection.destroy();
      tell();
    };
    connection.on('close', () => end(() => reject(new Error(`${host}:${port} closed the connection`))));
    connection.write(command(words));
  });
}

/** A signed-in connection; `onAnswer` gets each reply and push in order, AUTH's first. Closing and errors come as `close`. */
export function openConnection(host: string, port: number, onAnswer: (answer: Answer | Error) => void): Socket {
  const socket = connect({ host, port, noDelay: true });
  let buffer = '';
  socket.setEncoding('latin1');
  socket.on('error', () => {}); // `close` follows
  socket.on('data', (chunk: string) => {
    buffer += chunk;
    for (let parsed = parse(buffer, 0); parsed !== undefined; parsed = parse(buffer, 0)) {
      buffer = buffer.slice(parsed.end);
      onAnswer(parsed.answer);
    }
  });
  socket.write(command(['AUTH', password]));
  return socket;
}

/** A command in Redis' protocol. */
export function command(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/** The reply at `start` of the text (RESP2), or undefined while it isn't complete. */
export function parse(text: string, start: number): { answer: Answer | Error; end: number } | undefined {
  const line = text.indexOf('\r\n', start);
  if (line < 0) return undefined;
  const word = text.slice(start + 1, line);
  const end = line + 2;
  switch (text[start]) {
    case '+':
      return { answer: word, end };
    case '-':
      return { answer: new Error(word), end };
    case ':':
      return { answer: Number(word), end };
    case '$': {
      const size = Number(word);
      if (size < 0) return { answer: null, end };
      return text.length < end + size + 2 ? undefined : { answer: text.slice(end, end + size), end: end + size + 2 };
    }
    default:
      return parseArray(text, Number(word), end);
  }
}

function parseArray(text: string, count: number, start: number): { answer: Answer; end: number } | undefined {
  const items: Answer[] = [];
  let end = start;
  for (let index = 0; index < count; index++) {
    const item = parse(text, end);
    if (item === undefined) return undefined;
    items.push(item.answer instanceof Error ? item.answer.message : item.answer);
    end = item.end;
  }
  return { answer: items, end };
}
