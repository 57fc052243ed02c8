import type { Annotation } from './types.ts';

export interface CommandSink {
  /** A line for the log, not yet masked. */
  print(line: string): void;
  mask(value: string): void;
  annotate(level: Annotation['level'], message: string, properties: Record<string, string>): void;
  /** A command that this runner refuses: the step fails. */
  refuse(message: string): void;
}

/** Takes the lines of one step one by one, and acts on the workflow commands among them. */
export function createCommandReader(sink: CommandSink): (line: string) => void {
  let resumeToken: string | undefined;
  return (line) => {
    const command = parseCommand(line);
    if (resumeToken !== undefined) {
      if (command?.name === resumeToken) resumeToken = undefined;
      else sink.print(line);
      return;
    }
    if (command === undefined) {
      sink.print(line);
      return;
    }
    if (command.name === 'stop-commands') resumeToken = command.message;
    else act(command, line, sink);
  };
}

interface Command {
  readonly name: string;
  readonly properties: Record<string, string>;
  readonly message: string;
}

/** `::name key=value,key=value::message`, or undefined. */
function parseCommand(line: string): Command | undefined {
  const match = /^\s*::([^\s:]+)(?:\s+((?:(?!::).)*))?::(.*)$/s.exec(line);
  if (match === null) return undefined;
  const properties = (match[2] ?? '').split(',').flatMap((pair) => {
    const equals = pair.indexOf('=');
    if (equals <= 0) return [];
    return [[pair.slice(0, equals).trim(), unescapeData(pair.slice(equals + 1), true)] as const];
  });
  return {
    name: match[1] ?? '',
    properties: Object.fromEntries(properties),
    message: unescapeData(match[3] ?? '', false),
  };
}

function act(command: Command, line: string, sink: CommandSink): void {
  switch (command.name) {
    case 'add-mask':
      sink.mask(command.message);
      return;
    case 'group':
      sink.print(`##[group]${command.message}`);
      return;
    case 'endgroup':
      sink.print('##[endgroup]');
      return;
    case 'error':
    case 'warning':
    case 'notice':
      sink.annotate(command.name, command.message, command.properties);
      sink.print(`##[${command.name}]${place(command.properties)}${command.message}`);
      return;
    case 'debug':
      sink.print(`##[debug]${command.message}`);
      return;
    case 'echo':
      return;
    case 'set-output':
    case 'save-state':
    case 'set-env':
    case 'add-path':
    case 'add-matcher':
    case 'remove-matcher':
      sink.refuse(`the workflow command '${command.name}' is not supported by the lab's runner`);
      return;
    default:
      sink.print(line);
  }
}

function place(properties: Record<string, string>): string {
  const parts = [properties.file, properties.line, properties.col].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : `${parts.join(':')}: `;
}

function unescapeData(text: string, property: boolean): string {
  const plain = text.replace(/%0D/gi, '\r').replace(/%0A/gi, '\n');
  return (property ? plain.replace(/%3A/gi, ':').replace(/%2C/gi, ',') : plain).replace(/%25/g, '%');
}
