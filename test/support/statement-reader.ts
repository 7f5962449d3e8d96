/** Reads from what a client of PostgreSQL sends which statements it has executed (protocol 3.0, "Message Formats"). */
export class StatementReader {
  private rest = Buffer.alloc(0);
  private hasStarted = false;
  private readonly prepared = new Map<string, string>();

  /** The texts of the statements in this piece, in order; prepared ones by what they were prepared as. */
  public read(piece: Buffer): string[] {
    this.rest = Buffer.concat([this.rest, piece]);
    const statements: string[] = [];
    for (;;) {
      // The first message has no type.
      const typeBytes = this.hasStarted ? 1 : 0;
      if (this.rest.length < typeBytes + 4) return statements;
      const end = typeBytes + this.rest.readInt32BE(typeBytes);
      if (this.rest.length < end) return statements;
      const type = this.hasStarted ? String.fromCharCode(this.rest[0] ?? 0) : '';
      const statement = this.statementOf(type, this.rest.subarray(typeBytes + 4, end));
      if (statement !== undefined) statements.push(statement);
      this.rest = this.rest.subarray(end);
      this.hasStarted = true;
    }
  }

  private statementOf(type: string, body: Buffer): string | undefined {
    const [first = '', second = ''] = body.toString('latin1').split('\0', 2);
    switch (type) {
      case 'Q':
        return first;
      case 'P':
        this.prepared.set(first, second);
        return undefined;
      case 'B':
        return this.prepared.get(second);
      default:
        return undefined;
    }
  }
}
