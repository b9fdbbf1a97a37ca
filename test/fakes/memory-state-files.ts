/**
 * The state folder in memory: knows what an fsync has made safe, so that a test can kill a process, cut the power, or fill the disk.
 */
import { SCAN_BYTES } from '../../src/pipeline/state-files.ts';
import type { StateFiles } from '../../src/pipeline/state-files.ts';

interface StoredFile {
  content: Buffer;
  /** So many bytes survive a power cut. */
  synced: number;
}

export type StateCall = 'replace' | 'append' | 'sync' | 'rename';

/** How a call fails: nothing of it was done, half (a write into the last free bytes), or all (the folder could not be synced). */
export interface Fault {
  readonly code: string;
  readonly done: 'nothing' | 'half' | 'all';
}

export class MemoryDisk {
  readonly files = new Map<string, StoredFile>();
  /** Every write fails with this code while it is set; renames do not with ENOSPC. */
  failure: string | undefined;
  /** Every read fails with this code while it is set. */
  readFailure: string | undefined;
  /** How a single call fails, if it does. */
  fault: (call: StateCall, name: string) => Fault | undefined = () => undefined;
  writes = 0;
  syncs = 0;

  /** What was not synced is cut at a random place: `keep` gives how many of the unsynced bytes stay. */
  cutPower(keep: (unsynced: number) => number): void {
    for (const file of this.files.values()) {
      const kept = file.synced + keep(file.content.length - file.synced);
      file.content = file.content.subarray(0, kept);
      file.synced = kept;
    }
  }

  /** The folder as one process sees it; after `isAlive` says no, its calls change nothing. */
  mount(isAlive: () => boolean = () => true): StateFiles {
    /** Does as much of the call as its fault allows. */
    const act = (call: StateCall, name: string, does: (share: number) => void): void => {
      // A full disk has room for another name.
      const isFailing = this.failure !== undefined && (this.failure !== 'ENOSPC' || call !== 'rename');
      const fault = isFailing ? { code: this.failure, done: 'nothing' } : this.fault(call, name);
      this.writes += 1;
      if (fault?.done !== 'nothing') does(fault?.done === 'half' ? 0.5 : 1);
      if (fault !== undefined)
        throw Object.assign(new Error(`${fault.code}: ${isFailing ? 'write' : call}`), { code: fault.code });
    };
    const read = (name: string): Buffer | undefined => {
      if (this.readFailure !== undefined)
        throw Object.assign(new Error(`${this.readFailure}: read`), { code: this.readFailure });
      return this.files.get(name)?.content;
    };
    return {
      read: async (name) => read(name),
      scan: async (name, onChunk) => {
        const content = read(name);
        for (let at = 0; content !== undefined && at < content.length; at += SCAN_BYTES)
          onChunk(content.subarray(at, at + SCAN_BYTES));
      },
      replace: async (name, content) => {
        if (!isAlive()) return;
        act('replace', name, () => this.files.set(name, { content: Buffer.from(content), synced: content.length }));
      },
      append: async (name, content) => {
        if (!isAlive()) return;
        act('append', name, (share) => {
          const file = this.files.get(name) ?? { content: Buffer.alloc(0), synced: 0 };
          file.content = Buffer.concat([file.content, content.subarray(0, content.length * share)]);
          this.files.set(name, file);
        });
      },
      sync: async (name) => {
        if (!isAlive()) return;
        act('sync', name, () => {
          this.syncs += 1;
          const file = this.files.get(name);
          if (file !== undefined) file.synced = file.content.length;
        });
      },
      rename: async (from, to) => {
        if (!isAlive()) return;
        act('rename', from, () => {
          const file = this.files.get(from);
          if (file === undefined) throw Object.assign(new Error('ENOENT: rename'), { code: 'ENOENT' });
          this.files.delete(from);
          this.files.set(to, file);
        });
      },
      close: async () => {},
    };
  }
}
