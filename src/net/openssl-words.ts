/** What OpenSSL says in a message, without the numbers and places of its source around it; any other message as it is. */
export function opensslWords(message: string): string {
  return /error:[0-9A-F]+:SSL routines:[^:]*:([^:]+)/.exec(message)?.[1] ?? message;
}
