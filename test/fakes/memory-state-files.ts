/**
 * The state folder in memory: knows what an fsync has made safe, so that a test can kill a process, cut the power, or fill the disk.
 */
import type { StateFiles } from '../../src/pipeline/state-files.ts';

interface StoredFile {
  content: Buffer;
  /** So many bytes survive a power cut. */
  synced: number;
}

export class MemoryDisk {
  readonly files = new Map<string, StoredFile>();
  /** Every write fails with this code while it is set. */
  failure: string | undefined;
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
    const check = (): void => {
      if (this.failure !== undefined) throw Object.assign(new Error(`${this.failure}: write`), { code: this.failure });
      this.writes += 1;
    };
    return {
      read: async (name) => this.files.get(name)?.content,
      replace: async (name, content) => {
        if (!isAlive()) return;
        check();
        this.files.set(name, { content: Buffer.from(content), synced: content.length });
      },
      append: async (name, content) => {
        if (!isAlive()) return;
        check();
        const file = this.files.get(name) ?? { content: Buffer.alloc(0), synced: 0 };
        file.content = Buffer.concat([file.content, content]);
        this.files.set(name, file);
      },
      sync: async (name) => {
        if (!isAlive()) return;
        check();
        this.syncs += 1;
        const file = this.files.get(name);
        if (file !== undefined) file.synced = file.content.length;
      },
      rename: async (from, to) => {
        if (!isAlive()) return;
        check();
        const file = this.files.get(from);
        if (file === undefined) throw Object.assign(new Error('ENOENT: rename'), { code: 'ENOENT' });
        this.files.delete(from);
        this.files.set(to, file);
      },
      close: async () => {},
    };
  }
}
