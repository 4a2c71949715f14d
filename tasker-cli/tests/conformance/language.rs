//! The languages that there are workers in. A further one is an entry here, and its name in `main.rs`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tasker_testing::{TaskerBinary, TaskerProcess};

use crate::world::{Role, World};

/// A language, and how its worker with the handlers of the suite is started.
#[derive(Clone, Copy)]
pub(crate) struct Language {
    pub(crate) name: &'static str,
    /// Why this machine cannot have it, where it cannot. Panics where it should have it and has not.
    is_missing: fn() -> Option<String>,
    program: fn(&[(&str, &str)]) -> TaskerProcess,
}

const LANGUAGES: [Language; 3] = [
    Language {
        name: "rust",
        is_missing: || None,
        program: |environment| TaskerBinary::example("conformance_worker").spawn(&[], environment),
    },
    Language {
        name: "python",
        is_missing: || {
            python_program()
                .is_none()
                .then(|| "there is no python3".to_owned())
        },
        program: spawn_python,
    },
    Language {
        name: "ruby",
        is_missing: || {
            ruby_program()
                .is_none()
                .then(|| "there is no ruby".to_owned())
        },
        program: spawn_ruby,
    },
];

impl Language {
    /// The language of this name; `None`, and a remark that no test run hides, where the machine
    /// cannot have it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let language = LANGUAGES.into_iter().find(|it| it.name == name).unwrap();
        let Some(missing) = (language.is_missing)() else {
            return Some(language);
        };
        // Not by a macro, whose output a passing test hides.
        let remark = format!("NOT TESTED: workers in {name}: {missing}\n");
        std::io::stderr().write_all(remark.as_bytes()).unwrap();
        None
    }

    /// Those that the machine can have.
    pub(crate) fn all() -> Vec<Self> {
        let names = LANGUAGES.map(|it| it.name);
        names.into_iter().filter_map(Self::named).collect()
    }

    /// Another one that the machine has; this one where there is none.
    pub(crate) fn another(self) -> Self {
        let mut others = LANGUAGES.into_iter();
        others
            .find(|it| it.name != self.name && (it.is_missing)().is_none())
            .unwrap_or(self)
    }

    /// Starts its program.
    pub(crate) fn spawn(self, environment: &[(&str, &str)]) -> TaskerProcess {
        (self.program)(environment)
    }

    /// Starts a worker of this name, with these further variables, and waits until it is registered.
    pub(crate) async fn worker(
        self,
        world: &World,
        name: &str,
        variables: &[(&str, &str)],
    ) -> Role {
        self.worker_at(world.url(), world, name, variables).await
    }

    /// The same for a worker that reaches the database at another address.
    pub(crate) async fn worker_at(
        self,
        url: &str,
        world: &World,
        name: &str,
        variables: &[(&str, &str)],
    ) -> Role {
        let mut environment = vec![
            ("DATABASE_URL", url),
            ("INSTANCE_ID", name),
            ("NAMESPACE", "conformance"),
        ];
        environment.extend_from_slice(variables);
        let process = self.spawn(&environment);
        let mut role = Role {
            process,
            address: String::new(),
        };
        let registered =
            format!("select exists(select from tasker.processes where identity = '{name}')");
        world
            .wait_for(&format!("{name} is registered"), &registered)
            .await;
        role.assert_alive();
        role
    }
}

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A Python that has the driver; `None` where the machine has no Python at all.
pub(crate) fn python_program() -> Option<PathBuf> {
    path_from("scripts/python.sh")
}

/// A Ruby that the gem can be built for; `None` where the machine has no Ruby at all.
pub(crate) fn ruby_program() -> Option<PathBuf> {
    path_from("scripts/ruby.sh")
}

/// What the script prints; `None` where it says that the machine lacks the language.
fn path_from(script: &str) -> Option<PathBuf> {
    let found = Command::new(root().join(script)).output().unwrap();
    match found.status.code() {
        Some(0) => Some(PathBuf::from(
            String::from_utf8(found.stdout).unwrap().trim(),
        )),
        Some(3) => None,
        _ => panic!("{}", String::from_utf8_lossy(&found.stderr)),
    }
}

/// Where it finds the package, its tests and its examples.
pub(crate) fn python_environment() -> String {
    let package = root().join("workers/python");
    format!("{0}:{0}/tests:{0}/examples", package.display())
}

/// A worker in Python with the handlers of the suite, or of the module `REQUIRED`.
fn spawn_python(environment: &[(&str, &str)]) -> TaskerProcess {
    let path = python_environment();
    let required = environment.iter().find(|(name, _)| *name == "REQUIRED");
    let module = required.map_or("conformance_handlers", |(_, module)| module);
    let environment = [
        environment,
        &[("PYTHONPATH", &path), ("PYTHONDONTWRITEBYTECODE", "1")],
    ];
    let args = ["-m", "tasker_worker", "--require", module];
    TaskerBinary::at(python_program().unwrap()).spawn(&args, &environment.concat())
}

/// The arguments with which Ruby finds the gem of the checkout, whose native part is built here.
pub(crate) fn ruby_arguments() -> [String; 6] {
    static NATIVE: LazyLock<String> = LazyLock::new(|| {
        let built = path_from("scripts/build-ruby.sh").expect("there is a Ruby");
        built.display().to_string()
    });
    let gem = root().join("workers/ruby");
    let inside = |folder: &str| gem.join(folder).display().to_string();
    let include = || "-I".to_owned();
    [
        include(),
        inside("lib"),
        include(),
        NATIVE.clone(),
        include(),
        inside("spec"),
    ]
}

/// A worker in Ruby with the handlers of the suite, or of the file `REQUIRED`.
fn spawn_ruby(environment: &[(&str, &str)]) -> TaskerProcess {
    let required = environment.iter().find(|(name, _)| *name == "REQUIRED");
    let required = required.map_or("conformance_handlers", |(_, file)| file);
    let found = ruby_arguments();
    let program = root().join("workers/ruby/exe/tasker-worker");
    let mut args: Vec<&str> = found.iter().map(String::as_str).collect();
    args.extend([program.to_str().unwrap(), "--require", required]);
    TaskerBinary::at(ruby_program().unwrap()).spawn(&args, environment)
}
