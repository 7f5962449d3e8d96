/** The most parameter bytes of one escape sequence; a colour in full has about forty. */
const longestSequence = 64;

/** The most characters of an OSC or DCS payload that are swallowed before the rest counts as text again. */
const longestPayload = 128 * 1024;

// Every control character but tab, LF and CR, and what shows text in another order than it has (the embeddings, overrides and
// isolates of UAX 9; the marks for single characters stay) or breaks lines for some readers alone (U+2028, U+2029).
const controls = /[^\P{Cc}\t\n\r]|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu;

type State = 'text' | 'escape' | 'charset' | 'csi' | 'payload' | 'payloadEscape';

/**
 * Takes out of a stream of text what a terminal would obey: control characters and escape sequences (ECMA-48), also
 * when a sequence is split over several writes. Tab, LF, CR and the colour codes (SGR, `ESC [ … m`) stay. Payloads (OSC
 * 8 and 52, DCS and their like) go with their sequence, up to BEL, ST or the end of the line.
 */
export class TerminalFilter {
  private state: State = 'text';
  private parameters = '';
  private payloadLength = 0;

  /** What is left of the next piece of text. */
  public write(text: string): string {
    let kept = '';
    let position = 0;
    while (position < text.length) {
      if (this.state === 'text') {
        controls.lastIndex = position;
        const end = controls.exec(text)?.index ?? text.length;
        kept += position === 0 && end === text.length ? text : text.slice(position, end);
        if (end < text.length) this.openSequence(text.charCodeAt(end));
        position = end + 1;
      } else {
        const code = text.charCodeAt(position);
        if (this.state === 'csi' && code === 0x6d && /^[\d;:]*$/.test(this.parameters)) {
          kept += `\u001b[${this.parameters}m`;
        }
        if (this.takes(code)) position += 1;
      }
    }
    return kept;
  }

  private openSequence(code: number): void {
    this.parameters = '';
    this.payloadLength = 0;
    if (code === 0x1b) this.state = 'escape';
    else if (code === 0x9b) this.state = 'csi';
    else if ([0x90, 0x98, 0x9d, 0x9e, 0x9f].includes(code)) this.state = 'payload';
  }

  /** Moves on by one character inside a sequence; false: the sequence ended before it, look at it again. */
  private takes(code: number): boolean {
    switch (this.state) {
      case 'text':
        return false;
      case 'escape':
        if (code === 0x5b) return this.become('csi');
        if ([0x50, 0x58, 0x5d, 0x5e, 0x5f].includes(code)) return this.become('payload');
        if (code >= 0x20 && code <= 0x2f) return this.become('charset');
        this.state = 'text';
        return code >= 0x30 && code <= 0x7e;
      case 'charset':
        this.state = 'text';
        return code >= 0x20 && code <= 0x7e;
      case 'csi':
        return this.takesParameter(code);
      case 'payload':
        return this.takesPayload(code);
      case 'payloadEscape':
        if (code === 0x5c) return this.become('text');
        this.state = 'escape';
        return false;
    }
  }

  private takesParameter(code: number): boolean {
    if (code >= 0x20 && code <= 0x3f && this.parameters.length < longestSequence) {
      this.parameters += String.fromCharCode(code);
      return true;
    }
    this.state = 'text';
    return code >= 0x40 && code <= 0x7e;
  }

  private takesPayload(code: number): boolean {
    if (code === 0x07 || code === 0x9c || code === 0x18 || code === 0x1a) return this.become('text');
    if (code === 0x1b) return this.become('payloadEscape');
    this.payloadLength += 1;
    if (code !== 0x0a && code !== 0x0d && this.payloadLength <= longestPayload) return true;
    this.state = 'text';
    return false;
  }

  private become(state: State): true {
    this.state = state;
    this.parameters = '';
    this.payloadLength = 0;
    return true;
  }
}
